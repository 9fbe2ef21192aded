"""AlterShareGroupOffsets (91), version 0: gives a share group without members other starts (KIP-932).

What was delivered beyond the start does not count any more. Who may read none of the topics is told so, whatever the
group is.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import InvalidRequest, KafkaError, UnknownTopicOrPartition
from broker.metadata.groups import OffsetKey
from broker.metadata.image import Topic
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=91,
    name="AlterShareGroupOffsets",
    versions=(0, 0),
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def alter_share_group_offsets(context: Context, request: Any, version: int) -> Fields:
    """All that can be, at once; each partition is told by itself."""
    starts: dict[OffsetKey, int] = {}
    responses = []
    for asked in request.topics:
        try:
            topic = allowed_topic(context, context.metadata.image, asked.topic_name, Operation.READ)
        except KafkaError as error:
            parts = [_refused(each.partition_index, error) for each in asked.partitions]
            responses.append({"topic_name": asked.topic_name, "topic_id": UUID(int=0), "partitions": parts})
            continue
        parts = [_take(topic, each, starts) for each in asked.partitions]
        responses.append({"topic_name": topic.name, "topic_id": topic.id, "partitions": parts})
    try:
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
        if starts:
            await context.groups.shares.alter(request.group_id, starts)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    return {"responses": responses}


def _take(topic: Topic, asked: Any, starts: dict[OffsetKey, int]) -> Fields:
    try:
        if not 0 <= asked.partition_index < len(topic.partitions):
            raise UnknownTopicOrPartition(f"{topic.name} has no partition {asked.partition_index}")
        if asked.start_offset < 0:
            raise InvalidRequest(f"a start of {asked.start_offset}: give an offset of 0 or more")
    except KafkaError as error:
        return _refused(asked.partition_index, error)
    starts[topic.id, asked.partition_index] = asked.start_offset
    return {"partition_index": asked.partition_index}


def _refused(index: int, error: KafkaError) -> Fields:
    return {"partition_index": index, "error_code": error.code, "error_message": error.message}
