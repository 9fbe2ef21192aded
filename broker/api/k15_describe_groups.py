"""DescribeGroups (15), versions 0 to 6: state, members and assignments.

A group that is not there is Dead without an error up to version 5, and GROUP_ID_NOT_FOUND from 6 on.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.rights import NOT_ASKED, rights
from broker.errors import NONE, GroupIdNotFound, KafkaError
from broker.groups.shapes import GroupView
from broker.groups.state import GroupState
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=15,
    name="DescribeGroups",
    versions=(0, 6),
    failed=lambda request, version, code: {"groups": [_refusal(name, code, "") for name in request.groups]},
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def describe_groups(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    with_rights = getattr(request, "include_authorized_operations", False)
    return {"groups": [await _describe(context, name, version, with_rights) for name in request.groups]}


async def _describe(context: Context, group_id: str, version: int, with_rights: bool) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        view: GroupView = await context.groups.describe(group_id)
    except GroupIdNotFound as error:
        code = error.code if version >= 6 else NONE
        return {**_refusal(group_id, code, error.message), "group_state": GroupState.DEAD.value}
    except KafkaError as error:
        return _refusal(group_id, error.code, error.message)
    members = [
        {
            "member_id": member.member_id,
            "group_instance_id": member.instance_id,
            "client_id": member.client_id,
            "client_host": member.client_host,
            "member_metadata": member.subscription,
            "member_assignment": member.assignment,
        }
        for member in view.members
    ]
    return {
        "group_id": group_id,
        "group_state": view.state.value,
        "protocol_type": view.protocol_type,
        "protocol_data": view.protocol,
        "members": members,
        "authorized_operations": rights(context.access, ResourceType.GROUP, group_id) if with_rights else NOT_ASKED,
    }


def _refusal(group_id: str, code: int, message: str) -> Fields:
    return {"error_code": code, "error_message": message or None, "group_id": group_id, "members": ()}
