"""OffsetForLeaderEpoch (23), versions 2 to 4: where a leadership ended, for consumers that check whether their position
is still part of the log (KIP-320).

The history of (epoch, start offset) is in the metadata from the first byte (law 10). Logs are never truncated here, so
a client that asks about any epoch it ever read from finds its position below the end.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import find_topic
from broker.errors import NONE, FencedLeaderEpoch, KafkaError, UnknownLeaderEpoch
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    topics = []
    for topic in request.topics:
        partitions = [{"partition": asked.partition, "error_code": code} for asked in topic.partitions]
        topics.append({"topic": topic.topic, "partitions": partitions})
    return {"topics": topics}


@register(
    key=23,
    name="OffsetForLeaderEpoch",
    versions=(2, 4),
    failed=_failed,
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),),
)
async def offset_for_leader_epoch(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself; only its leader knows."""
    topics = []
    for topic in request.topics:
        partitions = [await _partition(context, topic.topic, asked) for asked in topic.partitions]
        topics.append({"topic": topic.topic, "partitions": partitions})
    return {"topics": topics}


async def _partition(context: Context, name: str, asked: Any) -> Fields:
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.TOPIC, name)
        find_topic(context.metadata.image, name)
        log = context.logs.get(name, asked.partition)
        _check_epoch(asked.current_leader_epoch, log.epoch)
        epoch, end = (-1, -1) if asked.leader_epoch > log.epoch else await log.epoch_end(asked.leader_epoch)
    except KafkaError as error:
        return {"partition": asked.partition, "error_code": error.code}
    return {"partition": asked.partition, "error_code": NONE, "leader_epoch": epoch, "end_offset": end}


def _check_epoch(believed: int, actual: int) -> None:
    if 0 <= believed < actual:
        raise FencedLeaderEpoch(f"epoch {believed} is over; it is {actual}")
    if believed > actual:
        raise UnknownLeaderEpoch(f"epoch {believed} is not known here yet; it is {actual}")
