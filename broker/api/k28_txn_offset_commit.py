"""TxnOffsetCommit (28), versions 0 to 5: offsets that become the group's if the transaction commits.

Asked of the group's coordinator. Until the decision they are kept beside the group's own, which `require_stable` heeds.
From version 3 on the member says who it is, and an older generation is refused; from 5 on the group need not be added
to the transaction first (KIP-890).
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.k08_offset_commit import answer_offsets, sort_offsets
from broker.api.registry import register
from broker.errors import NONE, InvalidProducerEpoch, KafkaError, ProducerFenced
from broker.groups.shapes import CommitRequest
from broker.metadata.rows import Coordinator
from broker.security.access import Need, Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.encoder import Fields

_ADDS_FROM = 5


@register(
    key=28,
    name="TxnOffsetCommit",
    versions=(0, 5),
    failed=lambda request, version, code: answer_offsets(request, version, {}, code),
    needs=(
        Need(operation=Operation.WRITE, resource=ResourceType.TRANSACTIONAL_ID),
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def txn_offset_commit(context: Context, request: Any, version: int) -> Fields:
    """Refuses partitions that do not exist or say too much; keeps the others together."""
    context.access.check(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    refused, offsets = sort_offsets(context, request, version)
    who = CommitRequest(
        group_id=request.group_id,
        member_id=getattr(request, "member_id", ""),
        instance_id=getattr(request, "group_instance_id", None),
        generation=getattr(request, "generation_id", -1),
    )
    claim = Claim(producer_id=request.producer_id, epoch=request.producer_epoch)
    try:
        coordinator: Coordinator = await context.groups.admit(who, in_transaction=True)
        home = context.groups.home_of(request.group_id)
        await context.transactions.commit_offsets(
            request.transactional_id,
            claim,
            request.group_id,
            offsets,
            home=(home.topic_id, home.index),
            group=coordinator,
            add=version >= _ADDS_FROM,
        )
    except KafkaError as error:
        code = InvalidProducerEpoch.code if isinstance(error, ProducerFenced) else error.code
        return answer_offsets(request, version, refused, code)
    return answer_offsets(request, version, refused, NONE)
