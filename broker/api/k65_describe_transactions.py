"""DescribeTransactions (65), version 0: where transactions stand, and what they have written to, by coordinator."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.transactions.coordinator import TransactionView
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"transaction_states": [_refused(each, code) for each in request.transactional_ids]}


@register(
    key=65,
    name="DescribeTransactions",
    versions=(0, 0),
    failed=_failed,
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.TRANSACTIONAL_ID),),
)
async def describe_transactions(context: Context, request: Any, version: int) -> Fields:
    """Each id by itself."""
    return {"transaction_states": [await _one(context, each) for each in request.transactional_ids]}


async def _one(context: Context, transactional_id: str) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, transactional_id)
        found: TransactionView = await context.transactions.describe(transactional_id)
    except KafkaError as error:
        return _refused(transactional_id, error.code)
    row = found.row
    return {
        "transactional_id": transactional_id,
        "transaction_state": row.state,
        "transaction_timeout": row.timeout_ms,
        "transaction_start_time": row.started_ms,
        "producer_id": row.producer_id,
        "producer_epoch": row.epoch,
        "topics": _topics(context, found),
    }


def _topics(context: Context, found: TransactionView) -> list[Fields]:
    """Without topics that were deleted since, or that the asker may not know."""
    image: Image = context.metadata.image
    partitions: defaultdict[str, list[int]] = defaultdict(list)
    for topic_id, index in found.places:
        topic = image.by_id.get(topic_id)
        if topic is not None and context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, topic.name):
            partitions[topic.name].append(index)
    return [{"topic": name, "partitions": indexes} for name, indexes in partitions.items()]


def _refused(transactional_id: str, code: int) -> Fields:
    return {
        "transactional_id": transactional_id,
        "error_code": code,
        "transaction_start_time": 0,
        "producer_id": -1,
        "producer_epoch": -1,
    }
