"""DeleteGroups (42), versions 0 to 2: empty groups and their offsets go."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=42,
    name="DeleteGroups",
    versions=(0, 2),
    failed=lambda request, version, code: {
        "results": [{"group_id": name, "error_code": code} for name in request.groups_names]
    },
    needs=(Need(operation=Operation.DELETE, resource=ResourceType.GROUP),),
)
async def delete_groups(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    return {"results": [await _delete(context, name) for name in request.groups_names]}


async def _delete(context: Context, group_id: str) -> Fields:
    try:
        context.access.check(Operation.DELETE, ResourceType.GROUP, group_id)
        await context.groups.delete(group_id)
    except KafkaError as error:
        return {"group_id": group_id, "error_code": error.code}
    return {"group_id": group_id, "error_code": NONE}
