"""ShareGroupDescribe (77), version 1: a share group's epoch, its members, and what each reads (KIP-932).

A group of another kind is GROUP_ID_NOT_FOUND here, as a share group is in the other describing APIs: tools ask all.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.describing import assignment, described, failed
from broker.api.registry import register
from broker.groups.share_shapes import ShareMemberView
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=77,
    name="ShareGroupDescribe",
    versions=(1, 1),
    failed=failed,
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def share_group_describe(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    describe = context.groups.shares.describe
    return {"groups": [await described(context, name, request, describe, _member) for name in request.group_ids]}


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
