"""DescribeQuorum (55), versions 0 to 2: who looks after the metadata, as far as that has a meaning without a quorum.

The truth is in SQL. What Kafka's tools call the leader is the controller, the epoch is the controller's, and offsets
are versions of the metadata: the high watermark is the newest that this broker has seen. Every live broker can become
the controller, so all are voters, and all read the same store, so none is told to lag.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidRequest, KafkaError, UnknownTopicOrPartition
from broker.metadata.image import Image
from broker.metadata.members import controller_epoch
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_TOPIC = "__cluster_metadata"


@register(
    key=55,
    name="DescribeQuorum",
    versions=(0, 2),
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER),),
)
async def describe_quorum(context: Context, request: Any, version: int) -> Fields:
    """Partition 0 of `__cluster_metadata`, which is the only one there could be."""
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
        if len(request.topics) != 1 or request.topics[0].topic_name != _TOPIC:
            raise InvalidRequest(f"only {_TOPIC} has a quorum: ask for it alone")
        image: Image = await context.metadata.refresh()
        epoch = await context.metadata.read(controller_epoch)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    listener, now_ms = context.connection.listener, context.clock.wall_ms()
    partitions = [_partition(image, epoch, asked.partition_index, now_ms) for asked in request.topics[0].partitions]
    nodes = []
    for broker in image.alive():
        if listener in broker.listeners:
            host, port = broker.listeners[listener]
            nodes.append({"node_id": broker.id, "listeners": [{"name": listener, "host": host, "port": port}]})
    return {"topics": [{"topic_name": _TOPIC, "partitions": partitions}], "nodes": nodes}


def _partition(image: Image, epoch: int, index: int, now_ms: int) -> Fields:
    if index != 0:
        return {"partition_index": index, "error_code": UnknownTopicOrPartition.code, "leader_id": -1}
    voters = [
        {
            "replica_id": broker.id,
            "log_end_offset": image.version,
            "last_fetch_timestamp": now_ms,
            "last_caught_up_timestamp": now_ms,
        }
        for broker in image.alive()
    ]
    return {
        "partition_index": 0,
        "leader_id": image.controller,
        "leader_epoch": epoch,
        "high_watermark": image.version,
        "current_voters": voters,
        "observers": (),
    }
