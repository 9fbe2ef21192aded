"""Metadata (3), versions 0 to 13: brokers, topics, partitions and who leads them.

Only live brokers that have the client's listener are listed, under the address that listener advertises. A topic that
does not exist is created when the client, its rights and `auto.create.topics.enable` allow it. A topic that the client
may not describe is left out of the list of all, and refused by name like one that does not exist. Each topic's part of
the answer is packed once per version and kept until the topic or the set of live brokers changes (law 14).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.rights import NOT_ASKED, rights
from broker.api.room import Room
from broker.api.topics import allowed_topic, broker_flag, broker_number, check_collision, check_name, endpoints_on
from broker.errors import (
    NONE,
    KafkaError,
    LeaderNotAvailable,
    TopicAlreadyExists,
    TopicAuthorizationFailed,
    UnknownTopicOrPartition,
)
from broker.metadata.image import INTERNAL, Image, Partition, Topic
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields, Packed
from broker.wire.metadata import PartitionRow, TopicRow, partitions, topic_head, topic_tail

KEY = 3
_MAX_FRAGMENTS = 20_000
_SLICE = 250
"""Partitions packed in one turn: about 0.2 ms."""


def _failed(_request: Any, _version: int, code: int) -> Fields:
    return {"error_code": code, "topics": []}


_DESCRIBE = Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC)


@register(key=KEY, name="Metadata", versions=(0, 13), failed=_failed, needs=(_DESCRIBE,))
async def metadata(context: Context, request: Any, version: int) -> Fields:
    """The asked topics, or all of them, on one picture of the cluster."""
    everything = request.topics is None or (version == 0 and not request.topics)
    uncreated = set() if everything else await _create_missing(context, request, version)
    image: Image = context.metadata.image
    with_rights = getattr(request, "include_topic_authorized_operations", False)
    alive = frozenset(broker.id for broker in image.alive())
    if everything:
        topics: list[Fields | Packed] = [
            await _fragment(context, each, version, alive, with_rights)
            for each in image.topics.values()
            if context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, each.name)
        ]
    else:
        topics = [
            _refused(_key(asked), version, TopicAuthorizationFailed.code)
            if _key(asked) in uncreated
            else await _asked(context, image, asked, version, alive, with_rights)
            for asked in request.topics
        ]
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
        answer["cluster_authorized_operations"] = cluster_rights(context)
    return answer


def cluster_rights(context: Context) -> int:
    """Kafka's bits of what the asker may do with the cluster; none are told to whom may not describe it."""
    access = context.access
    if not access.allows(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME):
        return 0
    return rights(access, ResourceType.CLUSTER, CLUSTER_NAME)


def _key(asked: Any) -> str | UUID | None:
    """How a topic was asked for: by id where the client has one, else by name."""
    topic_id: UUID | None = getattr(asked, "topic_id", None)
    name: str | None = asked.name
    return topic_id or name


async def _create_missing(context: Context, request: Any, version: int) -> set[str | UUID | None]:
    """Creates what may be created; what the asker may not create. It looks once more before it does: the topic may be
    younger than our picture.
    """
    image: Image = context.metadata.image
    access = context.access
    keys = [
        key
        for key in map(_key, request.topics)
        if isinstance(key, UUID) or (key and access.allows(Operation.DESCRIBE, ResourceType.TOPIC, key))
    ]
    if all(image.topic(key) is not None for key in keys):
        return set()
    image = await context.metadata.refresh()
    allowed = (version < 4 or request.allow_auto_topic_creation) and broker_flag(context, "auto.create.topics.enable")
    missing = dict.fromkeys(key for key in keys if isinstance(key, str) and image.topic(key) is None)
    uncreated: set[str | UUID | None] = set()
    for name in missing if allowed else ():
        if not may_create(context, name):
            uncreated.add(name)
            continue
        try:
            await _create(context, name)
        except TopicAlreadyExists:
            await context.metadata.refresh()
        except KafkaError:
            continue
    return uncreated


def may_create(context: Context, name: str) -> bool:
    """Whether the asker may create any topic, or this one."""
    access = context.access
    return access.allows(Operation.CREATE, ResourceType.CLUSTER, CLUSTER_NAME) or access.allows(
        Operation.CREATE, ResourceType.TOPIC, name
    )


async def _create(context: Context, name: str) -> None:
    check_name(name)
    check_collision(name, context.metadata.image)
    if name in INTERNAL:
        return
    count = broker_number(context, "num.partitions")
    Room(context).take(count)
    topic = await context.metadata.create_topic(
        name,
        partitions=count,
        replication_factor=broker_number(context, "default.replication.factor"),
        configs={},
    )
    await context.logs.announce(topic.partitions)


async def _asked(
    context: Context, image: Image, asked: Any, version: int, alive: frozenset[int], with_rights: bool
) -> Fields | Packed:
    key = _key(asked)
    try:
        if isinstance(key, str):
            check_name(key)
        if key is None:
            raise UnknownTopicOrPartition("a topic without name or id")
        topic = allowed_topic(context, image, key, Operation.DESCRIBE)
        return await _fragment(context, topic, version, alive, with_rights)
    except KafkaError as error:
        return _refused(key, version, error.code)


def _refused(key: str | UUID | None, version: int, code: int) -> Fields:
    return {
        "error_code": code,
        "name": key if isinstance(key, str) else (None if version >= 12 else ""),
        "topic_id": key if isinstance(key, UUID) else None,
        "partitions": [],
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fragment:
    topic: Topic
    alive: frozenset[int]
    packed: Packed


_fragments: dict[tuple[UUID, int, int], _Fragment] = {}
"""Only a cache: an entry counts while it is of the very same topic and the same live brokers."""


async def _fragment(context: Context, topic: Topic, version: int, alive: frozenset[int], with_rights: bool) -> Packed:
    bits = rights(context.access, ResourceType.TOPIC, topic.name) if with_rights else NOT_ASKED
    key = (topic.id, version, bits)
    known = _fragments.get(key)
    if known is not None and known.topic is topic and known.alive == alive:
        return known.packed
    packed = await _pack(context, topic, version, alive, bits)
    if len(_fragments) >= _MAX_FRAGMENTS:
        _fragments.clear()
    _fragments[key] = _Fragment(topic=topic, alive=alive, packed=packed)
    return packed


async def _pack(context: Context, topic: Topic, version: int, alive: frozenset[int], bits: int) -> Packed:
    row = TopicRow(
        name=topic.name,
        topic_id=topic.id,
        internal=topic.internal,
        partitions=len(topic.partitions),
        rights=bits,
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
