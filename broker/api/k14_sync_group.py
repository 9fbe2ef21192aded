"""SyncGroup (14), versions 0 to 5: the leader brings everyone's share; every member waits for its own."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.groups.shapes import SyncRequest
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=14, name="SyncGroup", versions=(0, 5), needs=(Need(operation=Operation.READ, resource=ResourceType.GROUP),)
)
async def sync_group(context: Context, request: Any, version: int) -> Fields:
    """Answers when the leader's assignment is stored."""
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    asked = SyncRequest(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        instance_id=request.group_instance_id if version >= 3 else None,
        protocol_type=request.protocol_type if version >= 5 else None,
        protocol=request.protocol_name if version >= 5 else None,
        assignments=tuple((share.member_id, bytes(share.assignment)) for share in request.assignments),
    )
    try:
        answer = await context.groups.sync(asked)
    except KafkaError as error:
        return {"error_code": error.code}
    return {
        "protocol_type": answer.protocol_type,
        "protocol_name": answer.protocol,
        "assignment": answer.assignment,
    }
