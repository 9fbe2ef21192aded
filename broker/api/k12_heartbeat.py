"""Heartbeat (12), versions 0 to 4: a member lives. REBALANCE_IN_PROGRESS tells it to join again."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=12, name="Heartbeat", versions=(0, 4), needs=(Need(operation=Operation.READ, resource=ResourceType.GROUP),)
)
async def heartbeat(context: Context, request: Any, version: int) -> Fields:
    """The error is the answer."""
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    instance_id = request.group_instance_id if version >= 3 else None
    try:
        await context.groups.heartbeat(request.group_id, request.member_id, instance_id, request.generation_id)
    except KafkaError as error:
        return {"error_code": error.code}
    return {"error_code": NONE}
