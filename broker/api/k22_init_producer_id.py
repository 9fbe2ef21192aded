"""InitProducerId (22), versions 0 to 5: who a producer is from now on.

Without a transactional id: a fresh id with epoch 0, each time, as Kafka gives it. With one: its row's id under the next
epoch, which fences whoever had it before; a transaction that was under way is aborted first. From version 3 on a
producer says who it was, and is refused when somebody else has taken over (KIP-360).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from broker.metadata.rows import TransactionRow
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.encoder import Fields

_FENCED_FROM = 4
"""From this version on PRODUCER_FENCED is told; earlier ones know INVALID_PRODUCER_EPOCH."""
_MS = timedelta(milliseconds=1)


def _failed(_request: Any, _version: int, code: int) -> Fields:
    return {"error_code": code, "producer_id": -1, "producer_epoch": -1}


@register(
    key=22,
    name="InitProducerId",
    versions=(0, 5),
    failed=_failed,
    needs=(
        Need(
            operation=Operation.IDEMPOTENT_WRITE,
            resource=ResourceType.CLUSTER,
            instead=(Need(operation=Operation.WRITE, resource=ResourceType.TOPIC),),
        ),
    ),
)
async def init_producer_id(context: Context, request: Any, version: int) -> Fields:
    """An id nobody else ever gets, or the next epoch of a transactional id's."""
    if request.transactional_id is None:
        if not context.access.allows_any(Operation.WRITE, ResourceType.TOPIC):
            context.access.check(Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, CLUSTER_NAME)
        return {"producer_id": await context.metadata.allocate_producer_ids(1), "producer_epoch": 0}
    try:
        context.access.check(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
        timeout_ms = request.transaction_timeout // _MS
        row: TransactionRow = await context.transactions.initialise(
            request.transactional_id, timeout_ms, _claim(request)
        )
    except KafkaError as error:
        fenced = isinstance(error, ProducerFenced) and version < _FENCED_FROM
        return _failed(request, version, InvalidProducerEpoch.code if fenced else error.code)
    return {"producer_id": row.producer_id, "producer_epoch": row.epoch}


def _claim(request: Any) -> Claim | None:
    """Who the producer was; None when it does not say, or the version has no room for it."""
    producer_id = int(getattr(request, "producer_id", -1))
    return Claim(producer_id=producer_id, epoch=int(request.producer_epoch)) if producer_id >= 0 else None
