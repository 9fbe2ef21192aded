"""ListTransactions (66), versions 0 to 2: the transactional ids this broker coordinates, by state and by producer, from
version 1 on by how long the transaction has been under way, from 2 on by a regular expression.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError, TransactionalIdAuthorizationFailed
from broker.groups.patterns import matching
from broker.metadata.rows import TransactionRow
from broker.security.access import Need, Operation, ResourceType
from broker.transactions.state import TransactionState
from broker.wire.encoder import Fields

_STATES = {each.value for each in TransactionState}


@register(
    key=66,
    name="ListTransactions",
    versions=(0, 2),
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.TRANSACTIONAL_ID),),
)
async def list_transactions(context: Context, request: Any, version: int) -> Fields:
    """What the asker may know of; a principal that may know of none is refused."""
    if not context.access.allows_any(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID):
        return {"error_code": TransactionalIdAuthorizationFailed.code}
    try:
        rows = await context.transactions.rows()
        pattern = getattr(request, "transactional_id_pattern", None)
        named = matching(pattern, [row.transactional_id for row in rows]) if pattern else None
    except KafkaError as error:
        return {"error_code": error.code}
    wanted = [
        row
        for row in rows
        if context.access.allows(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, row.transactional_id)
        and (named is None or row.transactional_id in named)
        and _matches(row, request, context.clock.wall_ms())
    ]
    return {
        "unknown_state_filters": [each for each in request.state_filters if each not in _STATES],
        "transaction_states": [
            {
                "transactional_id": row.transactional_id,
                "producer_id": row.producer_id,
                "transaction_state": row.state,
            }
            for row in wanted
        ],
    }


def _matches(row: TransactionRow, request: Any, now_ms: int) -> bool:
    """States, producers and duration, each where the request names some."""
    longer_ms = getattr(request, "duration_filter", -1)
    return (
        (not request.state_filters or row.state in request.state_filters)
        and (not request.producer_id_filters or row.producer_id in request.producer_id_filters)
        and (longer_ms < 0 or (row.started_ms >= 0 and now_ms - row.started_ms > longer_ms))
    )
