"""ListGroups (16), versions 0 to 5: the groups this broker coordinates; by state from 4 on, by type from 5 on.

Who may not describe the cluster sees the groups that it may describe."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_CLUSTER = Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER)
_GROUP = Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP, instead=(_CLUSTER,))


@register(key=16, name="ListGroups", versions=(0, 5), needs=(_GROUP,))
async def list_groups(context: Context, request: Any, version: int) -> Fields:
    """Filters are compared without case, as Kafka does."""
    access = context.access
    sees_all = access.allows(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
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
            "group_type": view.kind,
        }
        for view in views
        if (sees_all or access.allows(Operation.DESCRIBE, ResourceType.GROUP, view.group_id))
        and (not states or view.state.value.lower() in states)
        and (not types or view.kind in types)
    ]
    return {"groups": groups}
