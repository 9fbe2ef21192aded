"""Fetch (1), versions 4 to 17, packed by hand: record bytes go from the log to the socket uncopied.

Version 7 has sessions, 11 the client's rack, 12 is flexible, 13 names topics by id, 15 moves the replica id into a tag,
16 tells the endpoints of leaders (KIP-951), 17 adds a replica's directory, which only replicas send.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass

from broker.wire.cursor import I16, I32, I64, Cursor, put_count, put_uvarint
from broker.wire.produce import NodeEndpoint, put_endpoints, put_leader, put_topic

FLEXIBLE_FROM, TOPIC_ID_FROM, LEADER_FROM, ENDPOINTS_FROM = 12, 13, 12, 16
_LOG_START_FROM, _SESSION_FROM, _EPOCH_FROM, _RACK_FROM, _REPLICA_TAG_FROM = 5, 7, 9, 11, 15

Record = bytes | bytearray | memoryview


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchPartition:
    """From which offset, and how many bytes at most. `leader_epoch` is the client's belief; -1: none."""

    index: int
    offset: int
    max_bytes: int
    leader_epoch: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchTopic:
    """One topic, by name or by id, whichever the version has."""

    topic: str | uuid.UUID
    partitions: tuple[FetchPartition, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchRequest:
    """What a consumer wants, and how long it will wait for how much."""

    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    isolation_level: int
    """0 read_uncommitted, 1 read_committed"""
    session_id: int
    session_epoch: int
    rack: str
    topics: tuple[FetchTopic, ...]
    forgotten: tuple[tuple[str | uuid.UUID, tuple[int, ...]], ...] = ()
    """What leaves a session: topics and their partitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchedPartition:
    """One partition's part of the answer; `records` are whole batches, the last perhaps cut short."""

    index: int
    error_code: int = 0
    high_watermark: int = -1
    last_stable: int = -1
    log_start: int = -1
    records: tuple[Record, ...] = ()
    aborted: tuple[tuple[int, int], ...] = ()
    """(producer id, first offset) of transactions whose records a read_committed consumer leaves out."""
    leader: int = -1
    leader_epoch: int = -1
    preferred_replica: int = -1
    """The broker to read from instead (KIP-392); -1: this one."""

    @property
    def size_bytes(self) -> int:
        return sum(len(piece) for piece in self.records)


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchAnswer:
    """Topics as they were asked, in their order."""

    topics: tuple[tuple[str | uuid.UUID, tuple[FetchedPartition, ...]], ...]
    error_code: int = 0
    endpoints: tuple[NodeEndpoint, ...] = ()
    throttle_ms: int = 0
    session_id: int = 0

    @property
    def first_error(self) -> int:
        parts = (part.error_code for _, parts in self.topics for part in parts if part.error_code)
        return self.error_code or next(parts, 0)


def decode_fetch(version: int, frame: memoryview, position: int) -> FetchRequest:
    """The request in `frame` from `position` on; MalformedFrame when it is not one."""
    cursor = Cursor(frame, position=position, flexible=version >= FLEXIBLE_FROM)
    if version < _REPLICA_TAG_FROM:
        cursor.int32()  # replica id: brokers here do not replicate by Fetch
    max_wait_ms, min_bytes, max_bytes, isolation_level = cursor.int32(), cursor.int32(), cursor.int32(), cursor.int8()
    session_id, session_epoch = (cursor.int32(), cursor.int32()) if version >= _SESSION_FROM else (0, -1)
    topics = tuple(_topic(cursor, version) for _ in range(cursor.count(5)))
    forgotten = tuple(_forgotten(cursor, version) for _ in range(cursor.count(5))) if version >= _SESSION_FROM else ()
    rack = cursor.string() if version >= _RACK_FROM else ""
    cursor.tags()
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        isolation_level=isolation_level,
        session_id=session_id,
        session_epoch=session_epoch,
        rack=rack,
        topics=topics,
        forgotten=forgotten,
    )


def _topic(cursor: Cursor, version: int) -> FetchTopic:
    topic = cursor.uuid() if version >= TOPIC_ID_FROM else cursor.string()
    partitions = tuple(_partition(cursor, version) for _ in range(cursor.count(16)))
    cursor.tags()
    return FetchTopic(topic=topic, partitions=partitions)


_ASKED = struct.Struct(">iiqiqiB")
"""A partition of a flexible request: index, epoch, offset, last epoch, log start, bytes, and no tags."""


def _partition(cursor: Cursor, version: int) -> FetchPartition:
    if version >= FLEXIBLE_FROM and len(cursor.view) - cursor.position >= _ASKED.size:
        index, leader_epoch, offset, _, _, max_bytes, tags = _ASKED.unpack_from(cursor.view, cursor.position)
        if not tags:
            cursor.position += _ASKED.size
            return FetchPartition(index=index, offset=offset, max_bytes=max_bytes, leader_epoch=leader_epoch)
    index = cursor.int32()
    leader_epoch = cursor.int32() if version >= _EPOCH_FROM else -1
    offset = cursor.int64()
    if version >= FLEXIBLE_FROM:
        cursor.int32()  # last fetched epoch: logs here are never truncated, so it cannot diverge
    if version >= _LOG_START_FROM:
        cursor.int64()  # log start of a replica
    max_bytes = cursor.int32()
    cursor.tags()
    return FetchPartition(index=index, offset=offset, max_bytes=max_bytes, leader_epoch=leader_epoch)


def _forgotten(cursor: Cursor, version: int) -> tuple[str | uuid.UUID, tuple[int, ...]]:
    topic = cursor.uuid() if version >= TOPIC_ID_FROM else cursor.string()
    indexes = tuple(cursor.int32() for _ in range(cursor.count(4)))
    cursor.tags()
    return topic, indexes


def encode_fetch(version: int, answer: FetchAnswer) -> list[Record]:
    """The answer's body in pieces: what is packed, and the record bytes between."""
    flexible = version >= FLEXIBLE_FROM
    chunks: list[Record] = []
    out = bytearray(I32.pack(answer.throttle_ms))
    if version >= _SESSION_FROM:
        out += I16.pack(answer.error_code)
        out += I32.pack(answer.session_id)
    put_count(out, len(answer.topics), flexible=flexible)
    for topic, partitions in answer.topics:
        put_topic(out, topic, flexible=flexible)
        put_count(out, len(partitions), flexible=flexible)
        for partition in partitions:
            out = _put_partition(chunks, out, partition, version)
        if flexible:
            out.append(0)
    if flexible:
        put_endpoints(out, answer.endpoints if version >= ENDPOINTS_FROM else ())
    chunks.append(out)
    return chunks


_NOTHING = struct.Struct(">ihqqqBiBB")
"""A partition without records in a flexible answer; after the log start: aborted transactions (null), preferred replica
(none), the records' size plus 1, and no tags. Most partitions of a long poll are that.
"""


def _put_aborted(out: bytearray, aborted: tuple[tuple[int, int], ...], *, flexible: bool) -> None:
    """Null where there are none."""
    put_count(out, len(aborted) or -1, flexible=flexible)
    for producer_id, first in aborted:
        out += I64.pack(producer_id)
        out += I64.pack(first)
        if flexible:
            out.append(0)


def _put_partition(chunks: list[Record], out: bytearray, partition: FetchedPartition, version: int) -> bytearray:
    """Returns the buffer to go on with: a new one when record bytes came between."""
    flexible = version >= FLEXIBLE_FROM
    if flexible and not partition.records and partition.leader < 0 and partition.preferred_replica < 0:
        out += _NOTHING.pack(
            *(partition.index, partition.error_code, partition.high_watermark, partition.last_stable),
            *(partition.log_start, 0, -1, 1, 0),
        )
        return out
    out += I32.pack(partition.index)
    out += I16.pack(partition.error_code)
    out += I64.pack(partition.high_watermark)
    out += I64.pack(partition.last_stable)
    if version >= _LOG_START_FROM:
        out += I64.pack(partition.log_start)
    _put_aborted(out, partition.aborted, flexible=flexible)
    if version >= _RACK_FROM:
        out += I32.pack(partition.preferred_replica)
    put_count(out, partition.size_bytes, flexible=flexible)
    if partition.records:
        chunks.append(out)
        chunks.extend(partition.records)
        out = bytearray()
    if flexible and partition.leader >= 0:
        put_uvarint(out, 1)
        put_leader(out, tag=1, leader=partition.leader, epoch=partition.leader_epoch)
    elif flexible:
        out.append(0)
    return out
