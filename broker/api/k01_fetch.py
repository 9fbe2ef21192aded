"""Fetch (1), versions 4 to 17: records out of logs, waiting for them when there are too few.

A request waits until `min_bytes` are there, any partition has an error, or `max_wait_ms` is over. Bytes are bounded by
the request, by each partition's own limit and by `fetch.max.bytes`; the first batch comes even if larger (KIP-74).
A read_committed consumer gets what is below the last stable offset, and is told which transactions were aborted.
Sessions (KIP-227) are in `fetch_sessions.py`.
A consumer that tells its rack, and reads the tail, is sent to a replica of its own zone (KIP-392), which fetches that
tail from the leader once for all its readers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.nearer import nearer
from broker.api.registry import register
from broker.api.topics import allowed_topic, broker_number, endpoints_on
from broker.errors import (
    FencedLeaderEpoch,
    KafkaError,
    LeaderMoved,
    NotLeaderOrFollower,
    UnknownLeaderEpoch,
)
from broker.metadata.image import Image, Topic
from broker.security.access import Need, Operation, ResourceType
from broker.turns import EVERY
from broker.wire.fetch import (
    FetchAnswer,
    FetchedPartition,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    decode_fetch,
    encode_fetch,
)

_LONGEST_WAIT_S = 60.0


def _failed(request: FetchRequest, version: int, code: int) -> FetchAnswer:
    if version >= 7:
        return FetchAnswer(topics=(), error_code=code)
    topics = (
        (each.topic, tuple(FetchedPartition(index=part.index, error_code=code) for part in each.partitions))
        for each in request.topics
    )
    return FetchAnswer(topics=tuple(topics))


@dataclass(kw_only=True, slots=True)
class _Round:
    """One look at all partitions of a request."""

    bytes_left: int
    committed: bool
    """Whether the asker sees decided transactions only (read_committed)."""
    topics: list[tuple[str | UUID, tuple[FetchedPartition, ...]]] = field(default_factory=list)
    size_bytes: int = 0
    rack: str = ""
    """Where the reader is; empty: it did not say."""
    has_error: bool = False
    growth: list[tuple[Any, int]] = field(default_factory=list)
    """(log, offset): where the next record would come."""
    read: list[tuple[str, int, int]] = field(default_factory=list)
    """(topic, index, bytes), for the meter."""


@register(
    key=1,
    name="Fetch",
    versions=(4, 17),
    decoder=decode_fetch,
    encoder=encode_fetch,
    failed=_failed,
    needs=(Need(operation=Operation.READ, resource=ResourceType.TOPIC),),
    drop_when_gone=True,
)
async def fetch(context: Context, request: FetchRequest, version: int) -> FetchAnswer:
    """Looks, waits for growth, and looks again, until it is enough or time is up."""
    reading = context.fetch_sessions.read(request)
    if request.rack:
        context.connection.zone = request.rack
    context.meter.client_request(context.connection, "fetch")
    deadline = context.clock.monotonic() + min(max(request.max_wait_ms, 0) / 1000, _LONGEST_WAIT_S)
    while True:
        found = await _look(context, request, reading.topics)
        seconds_left = deadline - context.clock.monotonic()
        enough = found.size_bytes >= request.min_bytes or found.has_error or not found.growth
        if enough or seconds_left <= 0:
            break
        await _growth(context, found, seconds_left)
    for number, (topic, index, size_bytes) in enumerate(found.read):
        context.meter.fetched(context.connection, topic, index, size_bytes)
        if number % EVERY == 0:
            await context.turns.rest()
    session_id, topics = reading.answer(tuple(found.topics))
    return FetchAnswer(topics=topics, endpoints=_endpoints(context, found), session_id=session_id)


async def _look(context: Context, request: FetchRequest, topics: tuple[FetchTopic, ...]) -> _Round:
    limit = min(max(request.max_bytes, 0), broker_number(context, "fetch.max.bytes"))
    found = _Round(bytes_left=limit, committed=request.isolation_level == 1, rack=request.rack)
    for each in topics:
        partitions = []
        for number, asked in enumerate(each.partitions, 1):
            partitions.append(await _read(context, each.topic, asked, found))
            if number % EVERY == 0:
                await context.turns.rest()
        found.topics.append((each.topic, tuple(partitions)))
    return found


async def _read(context: Context, key: str | UUID, asked: FetchPartition, found: _Round) -> FetchedPartition:
    try:
        topic = allowed_topic(context, context.metadata.image, key, Operation.READ)
        log = _log(context, topic, asked.index, found)
        _check_epoch(asked, log)
        if found.rack and (near := _nearer(context, topic, log, asked, found)) is not None:
            return near
        max_bytes = min(max(asked.max_bytes, 0), found.bytes_left)
        part = await log.read(asked.offset, max_bytes, min_one=found.size_bytes == 0, committed=found.committed)
    except KafkaError as error:
        found.has_error = True
        return _refused(asked.index, error)
    size_bytes = sum(len(piece) for piece in part.data)
    found.size_bytes += size_bytes
    found.bytes_left = max(found.bytes_left - size_bytes, 0)
    found.growth.append((log, part.last_stable if found.committed else part.high_watermark))
    if size_bytes:
        found.read.append((topic.name, asked.index, size_bytes))
    return FetchedPartition(
        index=asked.index,
        high_watermark=part.high_watermark,
        last_stable=part.last_stable,
        log_start=part.log_start,
        records=tuple(part.data),
        aborted=part.aborted,
    )


def _log(context: Context, topic: Topic, index: int, found: _Round) -> Any:
    """The log this broker leads; for a reader of its zone also one that it can read near."""
    try:
        return context.logs.get(topic.name, index)
    except NotLeaderOrFollower:
        if not found.rack or found.rack != context.config.zone:
            raise
        return context.near.log(topic.partitions[index], committed=found.committed)


def _nearer(context: Context, topic: Topic, log: Any, asked: FetchPartition, found: _Round) -> FetchedPartition | None:
    """Where the reader is to go instead, when there is a broker of its own zone."""
    if found.rack == context.config.zone or (broker := nearer(context, topic, log, found.rack, asked.offset)) is None:
        return None
    found.has_error = True  # it is to be told at once
    marks = {"high_watermark": log.high_watermark, "last_stable": log.last_stable, "log_start": log.log_start}
    return FetchedPartition(index=asked.index, preferred_replica=broker, **marks)


def _check_epoch(asked: FetchPartition, log: Any) -> None:
    """KIP-320: a client that knows another leadership than ours is told, before it reads from the wrong one."""
    if asked.leader_epoch < 0 or asked.leader_epoch == log.epoch:
        return
    if asked.leader_epoch < log.epoch:
        raise FencedLeaderEpoch(f"epoch {asked.leader_epoch} is over; it is {log.epoch}")
    raise UnknownLeaderEpoch(f"epoch {asked.leader_epoch} is not known here yet; it is {log.epoch}")


def _refused(index: int, error: KafkaError) -> FetchedPartition:
    if isinstance(error, LeaderMoved):
        return FetchedPartition(index=index, error_code=error.code, leader=error.leader, leader_epoch=error.epoch)
    return FetchedPartition(index=index, error_code=error.code)


async def _growth(context: Context, found: _Round, seconds: float) -> None:
    """Until any of the logs has a record past what was seen, or time is up. The next look finds a log's error.

    One future waits in all of them: 3,333 futures would cost more than the rest of a long poll.
    """
    grown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        for number, (log, offset) in enumerate(found.growth, 1):
            log.tell(offset, grown, committed=found.committed)
            if number % EVERY == 0:
                await context.turns.rest()
        await asyncio.wait((grown,), timeout=seconds)
    finally:
        if not grown.cancel() and not grown.cancelled():
            grown.exception()


def _endpoints(context: Context, found: _Round) -> Any:
    leaders = {part.leader for _, parts in found.topics for part in parts if part.leader >= 0}
    if not leaders:
        return ()
    image: Image = context.metadata.image
    return endpoints_on(image, leaders, context.connection.listener)
