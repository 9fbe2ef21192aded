"""OffsetFetch (9), versions 1 to 10: what a group has committed; of many groups from 8 on; by topic id from 10 on.

From version 9 on a member of the new protocol may say who it is; with an epoch that is over it is told nothing.
With `require_stable` (version 7 on) a partition whose offset an open transaction may still change is answered with
UNSTABLE_OFFSET_COMMIT, and the client asks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.k08_offset_commit import sought, unknown
from broker.api.registry import register
from broker.errors import NONE, KafkaError, UnstableOffsetCommit
from broker.metadata.image import Image
from broker.metadata.rows import OffsetRow
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_NO_OFFSET = -1
UNSTABLE = OffsetRow(offset=_NO_OFFSET, leader_epoch=-1, metadata="", committed_at_ms=-1)
"""Stands for an offset that an open transaction may still change."""
Offsets = Mapping[tuple[UUID, int], OffsetRow]


@register(
    key=9,
    name="OffsetFetch",
    versions=(1, 10),
    failed=lambda request, version, code: _failed(request, version, code),
    needs=(
        Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),
        Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),
    ),
)
async def offset_fetch(context: Context, request: Any, version: int) -> Fields:
    """Each group by itself: one that has another coordinator does not fail the rest."""
    if version >= 8:
        return {"groups": [await _group(context, asked, version, request.require_stable) for asked in request.groups]}
    return await _group(context, request, version, getattr(request, "require_stable", False))


async def _group(context: Context, asked: Any, version: int, stable: bool) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, asked.group_id)
        if version >= 9 and asked.member_id and asked.member_epoch >= 0:
            await context.groups.consumers.check_reader(asked.group_id, asked.member_id, asked.member_epoch)
        unstable = await context.transactions.unstable(asked.group_id) if stable else ()
        offsets: Offsets = await context.groups.offsets(asked.group_id)
    except KafkaError as error:
        return _group_failed(asked, version, error.code)
    offsets = {**offsets, **dict.fromkeys(unstable, UNSTABLE)}
    image: Image = context.metadata.image
    everything = asked.topics is None
    topics = _everything(context, image, offsets) if everything else _asked(context, image, asked, offsets, version)
    return {"group_id": asked.group_id, "topics": topics}


def _everything(context: Context, image: Image, offsets: Offsets) -> list[Fields]:
    """All the group has, without topics that were deleted since or that the asker may not know."""
    found: defaultdict[UUID, list[Fields]] = defaultdict(list)
    for (topic_id, index), row in sorted(offsets.items()):
        found[topic_id].append(_partition(index, row))
    return [
        {"name": topic.name, "topic_id": topic.id, "partitions": partitions}
        for topic_id, partitions in found.items()
        if (topic := image.by_id.get(topic_id)) is not None
        and context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, topic.name)
    ]


def _asked(context: Context, image: Image, group: Any, offsets: Offsets, version: int) -> list[Fields]:
    answer: list[Fields] = []
    for asked in group.topics:
        name = asked.topic_id if version >= 10 else asked.name
        topic, code = sought(context, image, name, version, Operation.DESCRIBE)
        if topic is None and (version >= 10 or code != unknown(version)):
            answer.append(_same_code(asked, version, code))
            continue
        partitions = [
            _partition(index, offsets.get((topic.id, index)) if topic is not None else None)
            for index in asked.partition_indexes
        ]
        answer.append({"name": name, "topic_id": name, "partitions": partitions})
    return answer


def _partition(index: int, row: OffsetRow | None) -> Fields:
    if row is UNSTABLE:
        code = UnstableOffsetCommit.code
        return {"partition_index": index, "committed_offset": _NO_OFFSET, "metadata": "", "error_code": code}
    if row is None:
        return {"partition_index": index, "committed_offset": _NO_OFFSET, "metadata": ""}
    return {
        "partition_index": index,
        "committed_offset": row.offset,
        "committed_leader_epoch": row.leader_epoch,
        "metadata": row.metadata,
    }


def _failed(request: Any, version: int, code: int) -> Fields:
    if version >= 8:
        return {"groups": [_group_failed(asked, version, code) for asked in request.groups]}
    return _group_failed(request, version, code)


def _group_failed(asked: Any, version: int, code: int) -> Fields:
    """From version 2 on the error stands once; in version 1 only partitions have room for it."""
    topics = [_same_code(topic, version, code) for topic in asked.topics or ()] if version < 8 else []
    return {"group_id": asked.group_id, "error_code": code, "topics": topics}


def _same_code(asked: Any, version: int, code: int) -> Fields:
    name = asked.topic_id if version >= 10 else asked.name
    partitions = [
        {"partition_index": index, "committed_offset": _NO_OFFSET, "metadata": "", "error_code": code or NONE}
        for index in asked.partition_indexes
    ]
    return {"name": name, "topic_id": name, "partitions": partitions}
