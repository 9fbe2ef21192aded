"""AlterPartitionReassignments (45), versions 0 and 1: a move is a change of metadata (no data is copied).

replicas[0] becomes the owner; null cancels a move that is still under way. The answer comes when the wish is recorded;
ListPartitionReassignments tells when it is fulfilled.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidReplicaAssignment, KafkaError
from broker.metadata.image import Image
from broker.wire.encoder import Fields


@register(key=45, name="AlterPartitionReassignments", versions=(0, 1))
async def alter_partition_reassignments(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself."""
    answers = []
    for topic in request.topics:
        partitions = [await _reassign(context, topic.name, asked) for asked in topic.partitions]
        answers.append({"name": topic.name, "partitions": partitions})
    return {"responses": answers}


async def _reassign(context: Context, topic: str, asked: Any) -> Fields:
    try:
        if asked.replicas is not None:
            _check(context.metadata.image, topic, asked)
        await context.metadata.reassign(topic, asked.partition_index, asked.replicas)
    except KafkaError as error:
        return {
            "partition_index": asked.partition_index,
            "error_code": error.code,
            "error_message": error.message,
        }
    return {"partition_index": asked.partition_index}


def _check(image: Image, topic: str, asked: Any) -> None:
    where = f"{topic}-{asked.partition_index}"
    if not asked.replicas:
        raise InvalidReplicaAssignment(f"{where}: the replica list is empty")
    if len(set(asked.replicas)) != len(asked.replicas):
        raise InvalidReplicaAssignment(f"{where}: a broker stands twice in {list(asked.replicas)}")
    missing = [broker for broker in asked.replicas if broker not in image.brokers]
    if missing:
        raise InvalidReplicaAssignment(f"{where}: brokers {missing} are not registered")
    if not image.brokers[asked.replicas[0]].alive:
        raise InvalidReplicaAssignment(f"{where}: broker {asked.replicas[0]} would lead and is not alive")
