"""DescribeProducers (61), version 0: who has written to a partition idempotently, and since where whose transaction is
open. Asked of the leader; it is how hanging transactions are found.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import KafkaError
from broker.log.producers import ProducerView
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    topics = []
    for topic in request.topics:
        partitions = [{"partition_index": index, "error_code": code} for index in topic.partition_indexes]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


@register(
    key=61,
    name="DescribeProducers",
    versions=(0, 0),
    failed=_failed,
    needs=(Need(operation=Operation.READ, resource=ResourceType.TOPIC),),
)
async def describe_producers(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself."""
    topics = []
    for topic in request.topics:
        partitions = [_partition(context, topic.name, index) for index in topic.partition_indexes]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


def _partition(context: Context, name: str, index: int) -> Fields:
    try:
        allowed_topic(context, context.metadata.image, name, Operation.READ)
        producers = [_producer(view) for view in context.logs.get(name, index).producers.views()]
    except KafkaError as error:
        return {"partition_index": index, "error_code": error.code, "error_message": error.message}
    return {"partition_index": index, "active_producers": producers}


def _producer(view: ProducerView) -> Fields:
    return {
        "producer_id": view.producer_id,
        "producer_epoch": view.epoch,
        "last_sequence": view.last_sequence,
        "last_timestamp": view.last_ms,
        "coordinator_epoch": view.coordinator_epoch,
        "current_txn_start_offset": view.open_since,
    }
