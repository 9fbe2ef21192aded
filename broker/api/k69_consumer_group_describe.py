"""ConsumerGroupDescribe (69), versions 0 and 1: epochs, members, and what each has and shall have (KIP-848).

A classic group is GROUP_ID_NOT_FOUND here, as a group of this protocol is in DescribeGroups: tools ask both.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.describing import assignment, described, failed
from broker.api.registry import register
from broker.groups.consumer_shapes import ConsumerMemberView
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_CONSUMER = 1


@register(
    key=69,
    name="ConsumerGroupDescribe",
    versions=(0, 1),
    failed=failed,
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def consumer_group_describe(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    describe = context.groups.consumers.describe
    return {"groups": [await described(context, name, request, describe, _member) for name in request.group_ids]}


def _member(image: Image, member: ConsumerMemberView) -> Fields:
    return {
        "member_id": member.member_id,
        "instance_id": member.instance_id,
        "rack_id": member.rack,
        "member_epoch": member.epoch,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "subscribed_topic_names": member.names,
        "subscribed_topic_regex": member.regex or None,
        "assignment": assignment(image, member.assigned),
        "target_assignment": assignment(image, member.target),
        "member_type": _CONSUMER,
    }
