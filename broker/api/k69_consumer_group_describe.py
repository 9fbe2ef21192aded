"""ConsumerGroupDescribe (69), versions 0 and 1: epochs, members, and what each has and shall have (KIP-848).

A classic group is GROUP_ID_NOT_FOUND here, as a group of this protocol is in DescribeGroups: tools ask both.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.k68_consumer_group_heartbeat import by_topic
from broker.api.registry import register
from broker.api.rights import NOT_ASKED, rights
from broker.errors import KafkaError
from broker.groups.assignors import Places
from broker.groups.consumer_shapes import ConsumerGroupView, ConsumerMemberView
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_CONSUMER = 1


@register(
    key=69,
    name="ConsumerGroupDescribe",
    versions=(0, 1),
    failed=lambda request, version, code: {
        "groups": [{"group_id": name, "error_code": code} for name in request.group_ids]
    },
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def consumer_group_describe(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    return {"groups": [await _group(context, name, request) for name in request.group_ids]}


async def _group(context: Context, group_id: str, request: Any) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        view: ConsumerGroupView = await context.groups.consumers.describe(group_id)
    except KafkaError as error:
        return {"group_id": group_id, "error_code": error.code, "error_message": error.message}
    allowed = rights(context.access, ResourceType.GROUP, group_id)
    return {
        "group_id": group_id,
        "group_state": view.state.value,
        "group_epoch": view.epoch,
        "assignment_epoch": view.target_epoch,
        "assignor_name": view.assignor,
        "members": [_member(context.metadata.image, member) for member in view.members],
        "authorized_operations": allowed if request.include_authorized_operations else NOT_ASKED,
    }


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


def assignment(image: Image, places: Places) -> Fields:
    """Without topics that were deleted since."""
    named = []
    for fields in by_topic(places):
        topic = image.by_id.get(fields["topic_id"])
        if topic is not None:
            named.append({**fields, "topic_name": topic.name})
    return {"topic_partitions": named}
