"""LeaveGroup (13), versions 0 to 5: members go; many at once from 3 on, static ones by instance id."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, CoordinatorNotAvailable, InvalidGroupId, KafkaError, NotCoordinator
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_WHOLE = (NotCoordinator, CoordinatorNotAvailable, InvalidGroupId)
"""Errors of the whole request, whoever was to leave."""


@register(
    key=13, name="LeaveGroup", versions=(0, 5), needs=(Need(operation=Operation.READ, resource=ResourceType.GROUP),)
)
async def leave_group(context: Context, request: Any, version: int) -> Fields:
    """Each member by itself: one that is unknown does not keep the others."""
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    try:
        if version >= 3:
            return {"members": [await _leave(context, request.group_id, member) for member in request.members]}
        await context.groups.leave(request.group_id, request.member_id, None)
    except KafkaError as error:
        return {"error_code": error.code}
    return {"error_code": NONE}


async def _leave(context: Context, group_id: str, member: Any) -> Fields:
    answer = {"member_id": member.member_id, "group_instance_id": member.group_instance_id}
    try:
        await context.groups.leave(group_id, member.member_id, member.group_instance_id)
    except _WHOLE:
        raise
    except KafkaError as error:
        return {**answer, "error_code": error.code}
    return {**answer, "error_code": NONE}
