"""Metadata (3), versions 0 to 13: brokers, topics, partitions and who leads them.

Only live brokers that have the client's listener are listed, under the address that listener advertises. A topic that
does not exist is created when both the client and `auto.create.topics.enable` allow it. Each topic's part of the answer
is packed once per version and kept until the topic or the set of live brokers changes (law 14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import broker_flag, broker_number, check_collision, check_name, endpoints_on, find_topic
from broker.errors import NONE, KafkaError, LeaderNotAvailable, TopicAlreadyExists, UnknownTopicOrPartition
from broker.metadata.image import CONSUMER_OFFSETS, Image, Partition, Topic
from broker.wire.encoder import Fields, Packed
from broker.wire.metadata import PartitionRow, TopicRow, partitions, topic_head, topic_tail

KEY = 3
_NOT_ASKED = -(2**31)
_TOPIC_RIGHTS = sum(1 << code for code in (3, 4, 5, 6, 7, 8, 10, 11))
"""READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS: no ACLs, no limits."""
CLUSTER_RIGHTS = sum(1 << code for code in (5, 7, 8, 9, 10, 11, 12))
_MAX_FRAGMENTS = 20_000
_SLICE = 250
"""Partitions packed in one turn: about 0.2 ms."""


def _failed(_request: Any, _version: int, code: int) -> Fields:
    return {"error_code": code, "topics": []}


@register(key=KEY, name="Metadata", versions=(0, 13), failed=_failed)
async def metadata(context: Context, request: Any, version: int) -> Fields:
    """The asked topics, or all of them, on one picture of the cluster."""
    everything = request.topics is None or (version == 0 and not request.topics)
    if not everything:
        await _create_missing(context, request, version)
    image: Image = context.metadata.image
    rights = getattr(request, "include_topic_authorized_operations", False)
    alive = frozenset(broker.id for broker in image.alive())
    if everything:
        topics: list[Fields | Packed] = [
            await _fragment(context, each, version, alive, rights) for each in image.topics.values()
        ]
    else:
        topics = [await _asked(context, image, asked, version, alive, rights) for asked in request.topics]
    answer: dict[str, Any] = {
        "brokers": [
            {"node_id": each.broker_id, "host": each.host, "port": each.port, "rack": each.rack}
            for each in endpoints_on(image, set(alive), context.connection.listener)
        ],
        "cluster_id": image.cluster_id,
        "controller_id": image.controller if image.controller in alive else -1,
        "topics": topics,
    }
    if getattr(request, "include_cluster_authorized_operations", False):
        answer["cluster_authorized_operations"] = CLUSTER_RIGHTS
    return answer


def _key(asked: Any) -> str | UUID | None:
    """How a topic was asked for: by id where the client has one, else by name."""
    topic_id: UUID | None = getattr(asked, "topic_id", None)
    name: str | None = asked.name
    return topic_id or name


async def _create_missing(context: Context, request: Any, version: int) -> None:
    """Creates what may be created. Otherwise looks once more: the topic may be younger than our picture."""
    image: Image = context.metadata.image
    keys = [key for key in map(_key, request.topics) if key is not None]
    if all(image.topic(key) is not None for key in keys):
        return
    image = await context.metadata.refresh()
    allowed = (version < 4 or request.allow_auto_topic_creation) and broker_flag(context, "auto.create.topics.enable")
    missing = dict.fromkeys(key for key in keys if isinstance(key, str) and image.topic(key) is None)
    for name in missing if allowed else ():
        try:
            await _create(context, name)
        except TopicAlreadyExists:
            await context.metadata.refresh()
        except KafkaError:
            continue


async def _create(context: Context, name: str) -> None:
    check_name(name)
    check_collision(name, context.metadata.image)
    if name == CONSUMER_OFFSETS:
        return
    await context.metadata.create_topic(
        name,
        partitions=broker_number(context, "num.partitions"),
        replication_factor=broker_number(context, "default.replication.factor"),
        configs={},
    )


async def _asked(
    context: Context, image: Image, asked: Any, version: int, alive: frozenset[int], rights: bool
) -> Fields | Packed:
    key = _key(asked)
    try:
        if isinstance(key, str):
            check_name(key)
        if key is None:
            raise UnknownTopicOrPartition("a topic without name or id")
        return await _fragment(context, find_topic(image, key), version, alive, rights)
    except KafkaError as error:
        return {
            "error_code": error.code,
            "name": key if isinstance(key, str) else (None if version >= 12 else ""),
            "topic_id": key if isinstance(key, UUID) else None,
            "partitions": [],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fragment:
    topic: Topic
    alive: frozenset[int]
    packed: Packed


_fragments: dict[tuple[UUID, int, bool], _Fragment] = {}
"""Only a cache: an entry counts while it is of the very same topic and the same live brokers."""


async def _fragment(context: Context, topic: Topic, version: int, alive: frozenset[int], rights: bool) -> Packed:
    key = (topic.id, version, rights)
    known = _fragments.get(key)
    if known is not None and known.topic is topic and known.alive == alive:
        return known.packed
    packed = await _pack(context, topic, version, alive, rights)
    if len(_fragments) >= _MAX_FRAGMENTS:
        _fragments.clear()
    _fragments[key] = _Fragment(topic=topic, alive=alive, packed=packed)
    return packed


async def _pack(context: Context, topic: Topic, version: int, alive: frozenset[int], rights: bool) -> Packed:
    row = TopicRow(
        name=topic.name,
        topic_id=topic.id,
        internal=topic.internal,
        partitions=len(topic.partitions),
        rights=_TOPIC_RIGHTS if rights else _NOT_ASKED,
    )
    pieces = [topic_head(version, row)]
    for start in range(0, len(topic.partitions), _SLICE):
        pieces.append(partitions(version, [_row(p, alive) for p in topic.partitions[start : start + _SLICE]]))
        await context.turns.rest()
    pieces.append(topic_tail(version, row))
    return Packed(data=b"".join(pieces))


def _row(partition: Partition, alive: frozenset[int]) -> PartitionRow:
    led = partition.owner in alive
    replicas = partition.replicas
    return (
        NONE if led else LeaderNotAvailable.code,
        partition.index,
        partition.owner if led else -1,
        partition.epoch,
        replicas,
        partition.isr,
        () if alive.issuperset(replicas) else [replica for replica in replicas if replica not in alive],
    )
