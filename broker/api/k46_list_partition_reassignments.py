"""ListPartitionReassignments (46), version 0: the moves that are under way."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.metadata.image import Image, Partition, Topic
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_DESCRIBE = Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER)


@register(key=46, name="ListPartitionReassignments", versions=(0, 0), needs=(_DESCRIBE,))
async def list_partition_reassignments(context: Context, request: Any, version: int) -> Fields:
    """Of the asked partitions, or of all. One that does not exist, or does not move, is left out, as Kafka does."""
    context.access.check(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
    image: Image = await context.metadata.refresh()
    if request.topics is None:
        wanted = {topic.name: frozenset(range(len(topic.partitions))) for topic in image.topics.values()}
    else:
        wanted = {asked.name: frozenset(asked.partition_indexes) for asked in request.topics}
    found = ((image.topics[name], indexes) for name, indexes in wanted.items() if name in image.topics)
    topics = [_topic(topic, indexes) for topic, indexes in found]
    return {"topics": [topic for topic in topics if topic["partitions"]]}


def _topic(topic: Topic, indexes: frozenset[int]) -> Fields:
    moving = (each for each in topic.partitions if each.index in indexes and each.target is not None)
    return {"name": topic.name, "partitions": [_moving(partition) for partition in moving]}


def _moving(partition: Partition) -> Fields:
    target = partition.target or ()
    return {
        "partition_index": partition.index,
        "replicas": (*target, *(broker for broker in partition.replicas if broker not in target)),
        "adding_replicas": [broker for broker in target if broker not in partition.replicas],
        "removing_replicas": [broker for broker in partition.replicas if broker not in target],
    }
