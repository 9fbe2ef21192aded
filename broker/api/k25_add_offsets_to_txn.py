"""AddOffsetsToTxn (25), versions 0 to 4: a transaction is about to commit offsets of a group.

The group's partition of `__consumer_offsets` joins the transaction, as in Kafka; no marker is written there, since the
offsets become the group's with the decision itself.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from broker.security.access import Need, Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.encoder import Fields

_FENCED_FROM = 2


@register(
    key=25,
    name="AddOffsetsToTxn",
    versions=(0, 4),
    needs=(
        Need(operation=Operation.WRITE, resource=ResourceType.TRANSACTIONAL_ID),
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
    ),
)
async def add_offsets_to_txn(context: Context, request: Any, version: int) -> Fields:
    """Asked of the transaction's coordinator."""
    claim = Claim(producer_id=request.producer_id, epoch=request.producer_epoch)
    try:
        context.access.check(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
        await context.groups.make_home()
        home = context.groups.home_of(request.group_id)
        await context.transactions.add(request.transactional_id, claim, [(home.topic_id, home.index)])
    except KafkaError as error:
        fenced = isinstance(error, ProducerFenced) and version < _FENCED_FROM
        return {"error_code": InvalidProducerEpoch.code if fenced else error.code}
    return {}
