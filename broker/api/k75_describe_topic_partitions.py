"""DescribeTopicPartitions (75), version 0: Metadata's partitions in pages, by name, for clusters with many of them.

An answer holds at most `response_partition_limit` partitions (2,000 whatever is asked) and says where the next one
begins. Eligible leader replicas are told as none: every acknowledged record is in the WAL or in objects, so any broker
may lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.rights import rights
from broker.api.topics import check_name, find_topic
from broker.errors import NONE, InvalidRequest, KafkaError, LeaderNotAvailable
from broker.metadata.image import Image, Partition, Topic
from broker.security.access import Need, Operation, ResourceType
from broker.turns import EVERY
from broker.wire.encoder import Fields

_MOST = 2000


@register(
    key=75,
    name="DescribeTopicPartitions",
    versions=(0, 0),
    failed=lambda request, version, code: {
        "topics": [{"name": asked.name, "error_code": code} for asked in request.topics]
    },
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),),
)
async def describe_topic_partitions(context: Context, request: Any, version: int) -> Fields:
    """The asked topics, or all that may be seen, in the order of their names, from the cursor on."""
    image: Image = context.metadata.image
    if any(image.topic(asked.name) is None for asked in request.topics):
        image = await context.metadata.refresh()
    first, start = ("", 0) if request.cursor is None else (request.cursor.topic_name, request.cursor.partition_index)
    if start < 0:
        raise InvalidRequest(f"a cursor at partition {start}: give 0 or more")
    names = [name for name in _names(context, image, request.topics) if name >= first]
    room = min(request.response_partition_limit, _MOST) if request.response_partition_limit > 0 else _MOST
    alive = frozenset(broker.id for broker in image.alive())
    topics: list[Fields] = []
    for name in names:
        if room <= 0:
            return {"topics": topics, "next_cursor": {"topic_name": name, "partition_index": 0}}
        found = _find(context, image, name)
        if isinstance(found, KafkaError):
            topics.append({"error_code": found.code, "name": name, "partitions": ()})
            continue
        begin = start if name == first else 0
        shown = found.partitions[begin : begin + room]
        room -= len(shown)
        topics.append(await _topic(context, found, shown, alive))
        if begin + len(shown) < len(found.partitions):
            cursor = {"topic_name": name, "partition_index": begin + len(shown)}
            return {"topics": topics, "next_cursor": cursor}
    return {"topics": topics, "next_cursor": None}


def _names(context: Context, image: Image, asked: Sequence[Any]) -> list[str]:
    """What was asked for, each once; everything that may be described where nothing was."""
    if asked:
        return sorted({each.name for each in asked})
    allows = context.access.allows
    return sorted(name for name in image.topics if allows(Operation.DESCRIBE, ResourceType.TOPIC, name))


def _find(context: Context, image: Image, name: str) -> Topic | KafkaError:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.TOPIC, name)
        check_name(name)
        return find_topic(image, name)
    except KafkaError as error:
        return error


async def _topic(context: Context, topic: Topic, shown: Sequence[Partition], alive: frozenset[int]) -> Fields:
    partitions = []
    for number, partition in enumerate(shown, 1):
        partitions.append(_partition(partition, alive))
        if number % EVERY == 0:
            await context.turns.rest()
    return {
        "error_code": NONE,
        "name": topic.name,
        "topic_id": topic.id,
        "is_internal": topic.internal,
        "partitions": partitions,
        "topic_authorized_operations": rights(context.access, ResourceType.TOPIC, topic.name),
    }


def _partition(partition: Partition, alive: frozenset[int]) -> Fields:
    led = partition.owner in alive
    return {
        "error_code": NONE if led else LeaderNotAvailable.code,
        "partition_index": partition.index,
        "leader_id": partition.owner if led else -1,
        "leader_epoch": partition.epoch,
        "replica_nodes": partition.replicas,
        "isr_nodes": partition.isr,
        "eligible_leader_replicas": (),
        "last_known_elr": (),
        "offline_replicas": [replica for replica in partition.replicas if replica not in alive],
    }
