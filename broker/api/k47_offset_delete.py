"""OffsetDelete (47), version 0: forgets what a group committed of some partitions.

A topic that a living consumer of the group is subscribed to is refused (GROUP_SUBSCRIBED_TO_TOPIC): its offsets would
come back with the next commit.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import find_topic
from broker.errors import NONE, GroupSubscribedToTopic, KafkaError, UnknownTopicOrPartition
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=47,
    name="OffsetDelete",
    versions=(0, 0),
    needs=(
        Need(operation=Operation.DELETE, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def offset_delete(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself; the group's own errors stand at the top."""
    try:
        context.access.check(Operation.DELETE, ResourceType.GROUP, request.group_id)
        codes, keys = _sort(context, request)
        kept = await context.groups.delete_offsets(request.group_id, keys)
    except KafkaError as error:
        return {"error_code": error.code}
    codes.update((keys[key], GroupSubscribedToTopic.code) for key in kept)
    topics = []
    for asked in request.topics:
        indexes = [part.partition_index for part in asked.partitions]
        partitions = [{"partition_index": i, "error_code": codes.get((asked.name, i), NONE)} for i in indexes]
        topics.append({"name": asked.name, "partitions": partitions})
    return {"topics": topics}


def _sort(context: Context, request: Any) -> tuple[dict[tuple[str, int], int], dict[tuple[UUID, int], tuple[str, int]]]:
    """What is refused, with its code, and what is to be deleted, with the name it was asked under."""
    codes: dict[tuple[str, int], int] = {}
    keys: dict[tuple[UUID, int], tuple[str, int]] = {}
    for asked in request.topics:
        for part in asked.partitions:
            where = (asked.name, part.partition_index)
            try:
                context.access.check(Operation.READ, ResourceType.TOPIC, asked.name)
                topic = find_topic(context.metadata.image, asked.name)
                if not 0 <= part.partition_index < len(topic.partitions):
                    raise UnknownTopicOrPartition(f"{asked.name} has no partition {part.partition_index}")
                keys[topic.id, part.partition_index] = where
            except KafkaError as error:
                codes[where] = error.code
    return codes, keys
