"""A request of any API and version, made from its schema: topic "t", group "g", and what else a handler may ask for."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from datetime import timedelta
from typing import Any
from uuid import UUID

from kio.index import load_request_schema

from tests.broker.api.asking import batch

TOPIC, GROUP, CLUSTER = "t", "g", "kafka-cluster"
_SHORT = timedelta(milliseconds=50)
_TEXTS = {
    "name": TOPIC,
    "topic": TOPIC,
    "topics": TOPIC,
    "topic_name": TOPIC,
    "topic_names": TOPIC,
    "subscribed_topic_names": TOPIC,
    "group_id": GROUP,
    "group_ids": GROUP,
    "groups": GROUP,
    "groups_names": GROUP,
    "key": GROUP,
    "coordinator_keys": GROUP,
    "principal": "User:somebody",
    "host": "*",
    "transactional_id": "x",
    "v3_and_below_transactional_id": "x",
    "transactional_ids": "x",
}
_OF_API: dict[int, dict[str, Any]] = {
    0: {"acks": -1, "transactional_id": None},
    1: {"session_epoch": -1, "forgotten_topics_data": (), "max_bytes": 1000, "partition_max_bytes": 1000},
    3: {"topic_id": None},
    16: {"states_filter": (), "types_filter": ()},
    19: {"name": "new", "num_partitions": 1, "replication_factor": 1, "assignments": ()},
    22: {"transactional_id": None},
    29: {"resource_type_filter": 1, "pattern_type_filter": 1, "operation": 1, "permission_type": 1},
    30: {"resource_type": 2, "resource_pattern_type": 3, "operation": 3, "permission_type": 3, "resource_name": "u"},
    31: {
        "resource_type_filter": 2,
        "pattern_type_filter": 3,
        "operation": 3,
        "permission_type": 3,
        "resource_name_filter": "nothing",
    },
    37: {"count": 1},
    78: {"member_id": "m", "acknowledgement_batches": (), "forgotten_topics_data": ()},
    79: {"member_id": "m", "acknowledgement_batches": ()},
    43: {"topic_partitions": ({"topic": TOPIC, "partitions": (0,)},)},
}
"""What the general guess would get wrong."""
_CONFIGS = (
    {"resource_type": 2, "resource_name": TOPIC},
    {"resource_type": 4, "resource_name": "0"},
    {"resource_type": 16, "resource_name": "s"},
    {"resource_type": 32, "resource_name": GROUP},
)
_RESOURCES = {32: _CONFIGS, 33: _CONFIGS, 44: _CONFIGS}


def sample(key: int, version: int, topic_id: UUID) -> Any:
    """kio's request, filled."""
    given = dict(_OF_API.get(key, {}))
    if key in _RESOURCES:
        given["resources"] = _RESOURCES[key]
    return _fill(load_request_schema(key, version), given, topic_id)


def _fill(schema: Any, given: dict[str, Any], topic_id: UUID) -> Any:
    values = {
        field.name: _value(field.name, kind, given, topic_id)
        for field, kind in zip(dataclasses.fields(schema), _kinds(schema), strict=True)
    }
    return schema(**values)


def _kinds(schema: Any) -> list[Any]:
    hints = typing.get_type_hints(schema)
    return [hints[field.name] for field in dataclasses.fields(schema)]


def _value(name: str, kind: Any, given: dict[str, Any], topic_id: UUID) -> Any:
    nullable = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    if nullable:
        kind = next(each for each in typing.get_args(kind) if each is not types.NoneType)
    of_many = typing.get_origin(kind) is tuple
    item = typing.get_args(kind)[0] if of_many else kind
    if name in given and not (dataclasses.is_dataclass(item) and given[name]):
        return _typed(item, given[name])
    if of_many:
        some = given.get(name) or ({},)
        if dataclasses.is_dataclass(item):
            return tuple(_fill(item, {**given, **each}, topic_id) for each in some)
        return (_plain(name, item, topic_id),)
    if dataclasses.is_dataclass(item):
        return None if nullable else _fill(item, given, topic_id)
    return (
        None
        if nullable and name not in _TEXTS and name != "records" and item is not UUID
        else _plain(name, item, topic_id)
    )


def _typed(kind: Any, value: Any) -> Any:
    if value is None or isinstance(value, tuple) or kind in (str, bytes, bool):
        return value
    return kind(value)


def _plain(name: str, kind: Any, topic_id: UUID) -> Any:
    if issubclass(kind, UUID):
        return topic_id
    if issubclass(kind, timedelta):
        return kind.parse(_SHORT) if hasattr(kind, "parse") else _SHORT
    if issubclass(kind, bytes):
        return batch() if name == "records" else b""
    if issubclass(kind, bool):
        return False
    if issubclass(kind, str):
        return _TEXTS.get(name, "x")
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    return 0.0 if "f64" in kind.__name__ else kind(0)
