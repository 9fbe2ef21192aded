"""DescribeShareGroupOffsets (90), versions 0 and 1: where a share group begins to read in each partition (KIP-932), and
from version 1 on how much is ahead of it.

A partition that the group has not begun is told with a start of -1. Null for the topics asks for all it has begun.
Deviation: the lag is told by the broker that leads the partition; another coordinator says -1, which is "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import find_topic
from broker.errors import KafkaError, UnknownTopicOrPartition
from broker.metadata.groups import OffsetKey
from broker.metadata.image import Topic
from broker.metadata.shares import ShareRow
from broker.security.access import Need, Operation, ResourceType
from broker.shares.window import Window
from broker.turns import EVERY
from broker.wire.encoder import Fields


@register(
    key=90,
    name="DescribeShareGroupOffsets",
    versions=(0, 1),
    failed=lambda request, version, code: {
        "groups": [{"group_id": each.group_id, "error_code": code} for each in request.groups]
    },
    needs=(
        Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),
        Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),
    ),
)
async def describe_share_group_offsets(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself."""
    return {"groups": [await _group(context, each) for each in request.groups]}


async def _group(context: Context, asked: Any) -> Fields:
    access = context.access
    try:
        access.check(Operation.DESCRIBE, ResourceType.GROUP, asked.group_id)
        if asked.topics is None:
            rows = await context.groups.shares.starts(asked.group_id)
            return {"group_id": asked.group_id, "topics": await _all(context, rows)}
        names = {each.topic_name for each in asked.topics}
        allowed = {name for name in names if access.allows(Operation.DESCRIBE, ResourceType.TOPIC, name)}
        rows = await context.groups.shares.starts(asked.group_id) if allowed else {}
    except KafkaError as error:
        return {"group_id": asked.group_id, "error_code": error.code, "error_message": error.message}
    topics = []
    for each in asked.topics:
        topics.append(_topic(context, each.topic_name, each.partitions, rows))
        await context.turns.rest()
    return {"group_id": asked.group_id, "topics": topics}


async def _all(context: Context, rows: Mapping[OffsetKey, ShareRow]) -> list[Fields]:
    """What the group has begun of topics that the asker may see."""
    by_topic: dict[str, list[int]] = {}
    for number, (topic_id, index) in enumerate(sorted(rows), 1):
        topic = context.metadata.image.by_id.get(topic_id)
        if topic is not None and context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, topic.name):
            by_topic.setdefault(topic.name, []).append(index)
        if number % EVERY == 0:
            await context.turns.rest()
    return [_topic(context, name, indexes, rows) for name, indexes in by_topic.items()]


def _topic(context: Context, name: str, indexes: Any, rows: Mapping[OffsetKey, ShareRow]) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.TOPIC, name)
        topic = find_topic(context.metadata.image, name)
    except KafkaError as error:
        refusal = {"start_offset": -1, "error_code": error.code, "error_message": error.message}
        return {"topic_name": name, "partitions": [{"partition_index": index, **refusal} for index in indexes]}
    partitions = [_partition(context, topic, index, rows.get((topic.id, index))) for index in indexes]
    return {"topic_name": name, "topic_id": topic.id, "partitions": partitions}


def _partition(context: Context, topic: Topic, index: int, row: ShareRow | None) -> Fields:
    if not 0 <= index < len(topic.partitions):
        missing = UnknownTopicOrPartition(f"{topic.name} has no partition {index}")
        return {
            "partition_index": index, "start_offset": -1, "lag": -1,
            "error_code": missing.code, "error_message": missing.message,
        }  # fmt: skip
    if row is None:
        return {"partition_index": index, "start_offset": -1, "leader_epoch": 0, "lag": -1}
    return {
        "partition_index": index,
        "start_offset": row.start,
        "leader_epoch": max(row.leader_epoch, 0),
        "lag": _lag(context, topic, index, row),
    }


def _lag(context: Context, topic: Topic, index: int, row: ShareRow) -> int:
    """Records that are not done: from the start on, without those beyond it that are."""
    log = context.logs.find(topic.partitions[index].uid)
    if log is None:
        return -1
    window = Window.load(row.start, row.states)
    window.trim(log.log_start)
    return max(int(log.high_watermark) - window.start - window.done, 0)
