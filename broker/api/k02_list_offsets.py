"""ListOffsets (2), versions 1 to 10: the offset at a time, or at an end of the log.

-1 is the next offset a consumer would get (a read_committed one: the last stable offset), -2 the first, -3 the record
with the newest timestamp, -4 the first that is local (the same as -2: there are no tiers), -5 the last that is tiered
(none).
Deviation: a time is found to the batch, not to the record (records are opaque): consumers may see a few earlier ones.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import FencedLeaderEpoch, KafkaError, UnknownLeaderEpoch
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    topics = []
    for topic in request.topics:
        partitions = [{"partition_index": asked.partition_index, "error_code": code} for asked in topic.partitions]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


@register(
    key=2,
    name="ListOffsets",
    versions=(1, 10),
    failed=_failed,
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),),
)
async def list_offsets(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself; only its leader knows."""
    committed = getattr(request, "isolation_level", 0) == 1
    topics = []
    for topic in request.topics:
        partitions = [await _partition(context, topic.name, asked, committed) for asked in topic.partitions]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


async def _partition(context: Context, name: str, asked: Any, committed: bool) -> Fields:
    try:
        allowed_topic(context, context.metadata.image, name, Operation.DESCRIBE)
        log = context.logs.get(name, asked.partition_index)
        _check_epoch(getattr(asked, "current_leader_epoch", -1), log.epoch)
        offset, timestamp = await _offset(log, asked.timestamp, log.last_stable if committed else log.high_watermark)
    except KafkaError as error:
        return {"partition_index": asked.partition_index, "error_code": error.code}
    return {
        "partition_index": asked.partition_index,
        "offset": offset,
        "timestamp": timestamp,
        "leader_epoch": log.epoch,
    }


def _check_epoch(believed: int, actual: int) -> None:
    if 0 <= believed < actual:
        raise FencedLeaderEpoch(f"epoch {believed} is over; it is {actual}")
    if believed > actual:
        raise UnknownLeaderEpoch(f"epoch {believed} is not known here yet; it is {actual}")


async def _offset(log: Any, timestamp_ms: int, end: int) -> tuple[int, int]:
    """(offset, timestamp); (-1, -1) when there is none below `end`, and no timestamp for the ends of the log."""
    match timestamp_ms:
        case -1:
            return end, -1
        case -2 | -4:
            return log.log_start, -1
        case -3:
            found: tuple[int, int] = await log.max_timestamp()
            return found
        case -5:
            return -1, -1
        case _:
            at: tuple[int, int] = await log.offset_for_time(timestamp_ms)
            return at if at[0] < end else (-1, -1)
