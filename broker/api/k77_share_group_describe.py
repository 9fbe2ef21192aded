"""ShareGroupDescribe (77), version 1: a share group's epoch, its members, and what each reads (KIP-932).

A group of another kind is GROUP_ID_NOT_FOUND here, as a share group is in the other describing APIs: tools ask all.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.k69_consumer_group_describe import assignment
from broker.api.registry import register
from broker.api.rights import NOT_ASKED, rights
from broker.errors import KafkaError
from broker.groups.share_shapes import ShareGroupView, ShareMemberView
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=77,
    name="ShareGroupDescribe",
    versions=(1, 1),
    failed=lambda request, version, code: {
        "groups": [{"group_id": name, "error_code": code} for name in request.group_ids]
    },
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def share_group_describe(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    return {"groups": [await _group(context, name, request) for name in request.group_ids]}


async def _group(context: Context, group_id: str, request: Any) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        view: ShareGroupView = await context.groups.shares.describe(group_id)
    except KafkaError as error:
        return {"group_id": group_id, "error_code": error.code, "error_message": error.message}
    allowed = rights(context.access, ResourceType.GROUP, group_id)
    return {
        "group_id": group_id,
        "group_state": view.state.value,
        "group_epoch": view.epoch,
        "assignment_epoch": view.epoch,
        "assignor_name": view.assignor,
        "members": [_member(context.metadata.image, member) for member in view.members],
        "authorized_operations": allowed if request.include_authorized_operations else NOT_ASKED,
    }


def _member(image: Image, member: ShareMemberView) -> Fields:
    return {
        "member_id": member.member_id,
        "rack_id": member.rack,
        "member_epoch": member.epoch,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "subscribed_topic_names": member.names,
        "assignment": assignment(image, member.assigned),
    }
