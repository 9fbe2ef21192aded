"""ListGroups (16), versions 0 to 5: the groups this broker coordinates; by state from 4 on, by type from 5 on."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.wire.encoder import Fields

_TYPE = "classic"


@register(key=16, name="ListGroups", versions=(0, 5))
async def list_groups(context: Context, request: Any, version: int) -> Fields:
    """Filters are compared without case, as Kafka does."""
    states = {state.lower() for state in request.states_filter} if version >= 4 else set()
    types = {kind.lower() for kind in request.types_filter} if version >= 5 else set()
    try:
        views = await context.groups.groups()
    except KafkaError as error:
        return {"error_code": error.code}
    groups = [
        {
            "group_id": view.group_id,
            "protocol_type": view.protocol_type,
            "group_state": view.state.value,
            "group_type": _TYPE,
        }
        for view in views
        if (not states or view.state.value.lower() in states) and (not types or _TYPE in types)
    ]
    return {"groups": groups}
