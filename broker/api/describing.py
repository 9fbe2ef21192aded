"""What ConsumerGroupDescribe and ShareGroupDescribe have in common: a group whose partitions the broker assigns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from broker.api.context import Context
from broker.api.k68_consumer_group_heartbeat import by_topic
from broker.api.rights import NOT_ASKED, rights
from broker.errors import KafkaError
from broker.groups.assignors import Places
from broker.metadata.image import Image
from broker.security.access import Operation, ResourceType
from broker.wire.encoder import Fields

Describe = Callable[[str], Awaitable[Any]]
"""A group's view by its name; a KafkaError where there is none of the kind."""


def failed(request: Any, version: int, code: int) -> Fields:
    """The answer when nothing of the request could be handled."""
    return {"groups": [{"group_id": name, "error_code": code} for name in request.group_ids]}


async def described(
    context: Context, group_id: str, request: Any, describe: Describe, member: Callable[[Image, Any], Fields]
) -> Fields:
    """One group, or why the asker is not told."""
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, group_id)
        view = await describe(group_id)
    except KafkaError as error:
        return {"group_id": group_id, "error_code": error.code, "error_message": error.message}
    allowed = rights(context.access, ResourceType.GROUP, group_id)
    return {
        "group_id": group_id,
        "group_state": view.state.value,
        "group_epoch": view.epoch,
        "assignment_epoch": view.target_epoch,
        "assignor_name": view.assignor,
        "members": [member(context.metadata.image, each) for each in view.members],
        "authorized_operations": allowed if request.include_authorized_operations else NOT_ASKED,
    }


def assignment(image: Image, places: Places) -> Fields:
    """Without topics that were deleted since."""
    named = []
    for fields in by_topic(places):
        topic = image.by_id.get(fields["topic_id"])
        if topic is not None:
            named.append({**fields, "topic_name": topic.name})
    return {"topic_partitions": named}
