"""EndTxn (26), versions 0 to 5: commits or aborts; the decision is durable before it is answered.

The answer waits for the markers for a second at most; after that the producer's next request may be told that its last
transaction is still being ended. From version 5 on each end gives the producer its next epoch (KIP-890), and a request
whose answer was lost may be repeated.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from broker.metadata.rows import TransactionRow
from broker.security.access import Need, Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.encoder import Fields

_BUMPS_FROM = 5
_FENCED_FROM = 2


@register(
    key=26,
    name="EndTxn",
    versions=(0, 5),
    needs=(Need(operation=Operation.WRITE, resource=ResourceType.TRANSACTIONAL_ID),),
)
async def end_txn(context: Context, request: Any, version: int) -> Fields:
    """Who the producer is from now on, or why nothing was decided."""
    claim = Claim(producer_id=request.producer_id, epoch=request.producer_epoch)
    bump = version >= _BUMPS_FROM
    try:
        context.access.check(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
        row: TransactionRow = await context.transactions.end(
            request.transactional_id, claim, commit=request.committed, bump=bump
        )
    except KafkaError as error:
        fenced = isinstance(error, ProducerFenced) and version < _FENCED_FROM
        return {"error_code": InvalidProducerEpoch.code if fenced else error.code}
    return {"producer_id": row.producer_id, "producer_epoch": row.epoch} if bump else {}
