"""AddPartitionsToTxn (24), versions 0 to 5: what a transaction is about to write to.

Versions 0 to 3 are a producer's: all of the partitions are added, or none. From 4 on there may be many transactions, of
which each is added to, or only verified; it is a broker's question, for which CLUSTER_ACTION is needed and enough.
Brokers here do not ask each other in this way: a leader looks at the transaction's row itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import (
    NONE,
    InvalidProducerEpoch,
    KafkaError,
    OperationNotAttempted,
    ProducerFenced,
    TopicAuthorizationFailed,
    TransactionalIdAuthorizationFailed,
    UnknownTopicOrPartition,
)
from broker.metadata.image import Image
from broker.metadata.transactions import Place
from broker.security.access import CLUSTER_NAME, OPEN, Access, Need, Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.encoder import Fields

_BATCHED_FROM = 4
_FENCED_FROM = 2
Codes = Mapping[tuple[str, int], int]


def _failed(request: Any, version: int, code: int) -> Fields:
    if version >= _BATCHED_FROM:
        return {"error_code": code}
    return {"results_by_topic_v3_and_below": _results(request.v3_and_below_topics, {}, code)}


@register(
    key=24,
    name="AddPartitionsToTxn",
    versions=(0, 5),
    failed=_failed,
    needs=(
        Need(operation=Operation.WRITE, resource=ResourceType.TRANSACTIONAL_ID, until=_BATCHED_FROM - 1),
        Need(operation=Operation.WRITE, resource=ResourceType.TOPIC, until=_BATCHED_FROM - 1),
        Need(operation=Operation.CLUSTER_ACTION, resource=ResourceType.CLUSTER, since=_BATCHED_FROM),
    ),
)
async def add_partitions_to_txn(context: Context, request: Any, version: int) -> Fields:
    """Each transaction by itself."""
    if version < _BATCHED_FROM:
        return await _of_producer(context, request, version)
    context.access.check(Operation.CLUSTER_ACTION, ResourceType.CLUSTER, CLUSTER_NAME)
    results = []
    for asked in request.transactions:
        claim = Claim(producer_id=asked.producer_id, epoch=asked.producer_epoch)
        parts = _sort(context, asked.topics, OPEN)
        codes, code = await _add(context, asked.transactional_id, claim, parts, verify=asked.verify_only)
        results.append(
            {"transactional_id": asked.transactional_id, "topic_results": _results(asked.topics, codes, code)}
        )
    return {"results_by_transaction": results}


async def _of_producer(context: Context, request: Any, version: int) -> Fields:
    transactional_id, topics = request.v3_and_below_transactional_id, request.v3_and_below_topics
    claim = Claim(producer_id=request.v3_and_below_producer_id, epoch=request.v3_and_below_producer_epoch)
    if not context.access.allows(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id):
        return _failed(request, version, TransactionalIdAuthorizationFailed.code)
    codes, code = await _add(context, transactional_id, claim, _sort(context, topics, context.access), verify=False)
    if code == ProducerFenced.code and version < _FENCED_FROM:
        code = InvalidProducerEpoch.code
    return {"results_by_topic_v3_and_below": _results(topics, codes, code)}


async def _add(
    context: Context, transactional_id: str, claim: Claim, parts: tuple[Codes, list[Place]], *, verify: bool
) -> tuple[Codes, int]:
    """The codes of those partitions for which none was tried, and the code of the others."""
    codes, places = parts
    if codes:
        return codes, OperationNotAttempted.code
    try:
        if verify:
            await context.transactions.enlist(transactional_id, claim, places, add=False)
        else:
            await context.transactions.add(transactional_id, claim, places)
    except KafkaError as error:
        return {}, error.code
    return {}, NONE


def _sort(context: Context, topics: Any, access: Access) -> tuple[Codes, list[Place]]:
    """What cannot be added, with its code, and what can."""
    image: Image = context.metadata.image
    codes: dict[tuple[str, int], int] = {}
    places: list[Place] = []
    for asked in topics:
        allowed = access.allows(Operation.WRITE, ResourceType.TOPIC, asked.name)
        topic = image.topic(asked.name)
        for index in asked.partitions:
            if not allowed:
                codes[asked.name, index] = TopicAuthorizationFailed.code
            elif topic is None or not 0 <= index < len(topic.partitions):
                codes[asked.name, index] = UnknownTopicOrPartition.code
            else:
                places.append((topic.id, index))
    return codes, places


def _results(topics: Any, codes: Codes, code: int) -> list[Fields]:
    return [
        {
            "name": asked.name,
            "results_by_partition": [
                {"partition_index": index, "partition_error_code": codes.get((asked.name, index), code)}
                for index in asked.partitions
            ],
        }
        for asked in topics
    ]
