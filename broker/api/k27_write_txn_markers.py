"""WriteTxnMarkers (27), versions 1 and 2: ends producers' transactions in partitions led here, whoever decided.

It is how an administrator aborts a hanging transaction (`kafka-transactions.sh abort`): one that no coordinator knows
of. Brokers here send each other markers on their own listener. A producer whose epoch the marker overtakes is fenced;
a coordinator's epoch older than one that was seen is refused.
"""

from __future__ import annotations

import asyncio
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import find_topic
from broker.errors import NONE, InvalidTopic, KafkaError, RequestTimedOut
from broker.records.markers import Marker
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_DURABLE_S = 10.0


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"markers": [_answer(asked, lambda _name, _index: code) for asked in request.markers]}


@register(
    key=27,
    name="WriteTxnMarkers",
    versions=(1, 2),
    failed=_failed,
    needs=(
        Need(
            operation=Operation.CLUSTER_ACTION,
            resource=ResourceType.CLUSTER,
            instead=(Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER),),
        ),
    ),
)
async def write_txn_markers(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself; all wait for the disk together."""
    if not context.access.allows(Operation.ALTER, ResourceType.CLUSTER, CLUSTER_NAME):
        context.access.check(Operation.CLUSTER_ACTION, ResourceType.CLUSTER, CLUSTER_NAME)
    started = [(asked, _start(context, asked)) for asked in request.markers]
    waiting = [one for _, ones in started for one in ones.values() if isinstance(one, asyncio.Future)]
    if waiting:
        await asyncio.wait(waiting, timeout=_DURABLE_S)
    return {
        "markers": [_answer(asked, lambda name, index, ones=ones: _code(ones[name, index])) for asked, ones in started]
    }


def _start(context: Context, asked: Any) -> dict[tuple[str, int], asyncio.Future[None] | int]:
    marker = Marker(
        producer_id=asked.producer_id,
        producer_epoch=asked.producer_epoch,
        coordinator_epoch=asked.coordinator_epoch,
        commit=asked.transaction_result,
    )
    started: dict[tuple[str, int], asyncio.Future[None] | int] = {}
    for topic in asked.topics:
        for index in topic.partition_indexes:
            try:
                if find_topic(context.metadata.image, topic.name).internal:
                    raise InvalidTopic(f"{topic.name} is internal: there are no transactions in it")
                log = context.logs.get(topic.name, index)
                started[topic.name, index] = log.mark(marker, context.clock.wall_ms())
            except KafkaError as error:
                started[topic.name, index] = error.code
    return started


def _code(one: asyncio.Future[None] | int) -> int:
    if isinstance(one, int):
        return one
    if not one.done():
        return RequestTimedOut.code
    error = one.exception()
    return NONE if error is None else getattr(error, "code", -1)


def _answer(asked: Any, code: Any) -> Fields:
    topics = [
        {
            "name": topic.name,
            "partitions": [
                {"partition_index": index, "error_code": code(topic.name, index)} for index in topic.partition_indexes
            ],
        }
        for topic in asked.topics
    ]
    return {"producer_id": asked.producer_id, "topics": topics}
