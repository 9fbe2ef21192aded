"""OffsetCommit (8), versions 2 to 10: a group's offsets, durable before they are answered. From 10 on topics have ids.

Deviation: `retention_time` (versions 2 to 4) is ignored, as later versions do without it: `offsets.retention.minutes`
holds for all.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import NONE, KafkaError, OffsetMetadataTooLarge, UnknownTopicId, UnknownTopicOrPartition
from broker.groups.shapes import CommitRequest
from broker.metadata.image import Image, Topic
from broker.metadata.rows import OffsetRow
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=8,
    name="OffsetCommit",
    versions=(2, 10),
    failed=lambda request, version, code: answer_offsets(request, version, {}, code),
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def offset_commit(context: Context, request: Any, version: int) -> Fields:
    """Refuses partitions that do not exist or say too much; commits the others together."""
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    refused, offsets = sort_offsets(context, request, version)
    who = CommitRequest(
        group_id=request.group_id,
        member_id=request.member_id,
        instance_id=getattr(request, "group_instance_id", None),
        generation=request.generation_id_or_member_epoch,
    )
    try:
        await context.groups.commit(who, offsets)
    except KafkaError as error:
        return answer_offsets(request, version, refused, error.code)
    return answer_offsets(request, version, refused, NONE)


def sort_offsets(
    context: Context, request: Any, version: int
) -> tuple[dict[tuple[object, int], int], dict[tuple[UUID, int], OffsetRow]]:
    """What is refused, with its code, and what is to be committed."""
    refused: dict[tuple[object, int], int] = {}
    offsets: dict[tuple[UUID, int], OffsetRow] = {}
    image, now_ms = context.metadata.image, context.clock.wall_ms()
    most = context.groups.settings.max_metadata_bytes
    for asked in request.topics:
        name = topic_key(asked, version)
        topic, code = sought(context, image, name, version, Operation.READ)
        for part in asked.partitions:
            said = part.committed_metadata or ""
            if topic is None:
                refused[name, part.partition_index] = code
            elif not 0 <= part.partition_index < len(topic.partitions):
                refused[name, part.partition_index] = UnknownTopicOrPartition.code
            elif len(said) > most:
                refused[name, part.partition_index] = OffsetMetadataTooLarge.code
            else:
                offsets[topic.id, part.partition_index] = OffsetRow(
                    offset=part.committed_offset,
                    leader_epoch=getattr(part, "committed_leader_epoch", -1),
                    metadata=said,
                    committed_at_ms=now_ms,
                )
    return refused, offsets


def topic_key(asked: Any, version: int) -> str | UUID | None:
    """How this version names a topic: by name, from 10 on by id."""
    key: str | UUID | None = asked.topic_id if version >= 10 else asked.name
    return key


def sought(
    context: Context, image: Image, key: str | UUID | None, version: int, operation: Operation
) -> tuple[Topic | None, int]:
    """The topic and no error, or none and why."""
    try:
        if key is not None:
            return allowed_topic(context, image, key, operation), NONE
    except KafkaError as error:
        return None, error.code
    return None, unknown(version)


def unknown(version: int) -> int:
    """The code for a topic that is not there."""
    return UnknownTopicId.code if version >= 10 else UnknownTopicOrPartition.code


def answer_offsets(request: Any, version: int, refused: dict[tuple[object, int], int], code: int) -> Fields:
    topics = []
    for asked in request.topics:
        name = topic_key(asked, version)
        partitions = [
            {"partition_index": part.partition_index, "error_code": refused.get((name, part.partition_index), code)}
            for part in asked.partitions
        ]
        topics.append({"name": name, "topic_id": name, "partitions": partitions})
    return {"topics": topics}
