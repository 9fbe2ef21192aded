"""AlterPartitionReassignments (45), versions 0 and 1: a move is a change of metadata (no data is copied).

replicas[0] becomes the owner; null cancels a move that is still under way. All wishes of a request are recorded in one
transaction, each granted or refused by itself. The answer comes when they are recorded; ListPartitionReassignments
tells when they are fulfilled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidReplicaAssignment, InvalidReplicationFactor, KafkaError
from broker.metadata import moves
from broker.metadata.image import Image
from broker.metadata.moves import Where
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER)


@register(key=45, name="AlterPartitionReassignments", versions=(0, 1), needs=(_ALTER,))
async def alter_partition_reassignments(context: Context, request: Any, version: int) -> Fields:
    """Records the wishes and tells the other brokers, so that the owners begin at once."""
    context.access.check(Operation.ALTER, ResourceType.CLUSTER, CLUSTER_NAME)
    image: Image = context.metadata.image
    may_resize = getattr(request, "allow_replication_factor_change", True)
    wishes = {
        (topic.name, asked.partition_index): asked.replicas for topic in request.topics for asked in topic.partitions
    }
    refused: dict[Where, KafkaError] = {}
    for where, replicas in wishes.items():
        try:
            _check(image, where, replicas, may_resize=may_resize)
        except KafkaError as error:
            refused[where] = error
    granted = {where: replicas for where, replicas in wishes.items() if where not in refused}
    if granted:
        refused |= await context.metadata.change(lambda tx: moves.aim(tx, granted))
        await context.logs.announce()
    return {
        "responses": [
            {
                "name": topic.name,
                "partitions": [_answer(topic.name, asked.partition_index, refused) for asked in topic.partitions],
            }
            for topic in request.topics
        ]
    }


def _check(image: Image, where: Where, replicas: Any, *, may_resize: bool) -> None:
    """What the picture of the cluster can tell; the transaction checks the rest."""
    if not replicas:
        return
    leader = image.brokers.get(replicas[0])
    if leader is not None and not leader.alive:
        raise InvalidReplicaAssignment(f"{where[0]}-{where[1]}: broker {leader.id} would lead and is not alive")
    partition = image.partition(*where)
    if not may_resize and partition is not None and len(partition.replicas) != len(replicas):
        raise InvalidReplicationFactor(
            f"{where[0]}-{where[1]} has {len(partition.replicas)} replicas; it may not change"
        )


def _answer(topic: str, index: int, refused: Mapping[Where, KafkaError]) -> Fields:
    error = refused.get((topic, index))
    if error is None:
        return {"partition_index": index}
    return {"partition_index": index, "error_code": error.code, "error_message": error.message}
