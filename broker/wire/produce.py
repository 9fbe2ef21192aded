"""Produce (0), versions 3 to 13, packed by hand: record bytes stay views of the frame they came in.

Version 9 is flexible; 10 tells the current leader in a tagged field (KIP-951); 13 names topics by id (KIP-516).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from broker.wire.cursor import I16, I32, I64, MAX_ITEMS, Cursor, put_count, put_string, put_uvarint

FLEXIBLE_FROM, LEADER_FROM, TOPIC_ID_FROM = 9, 10, 13
_ERRORS_FROM, _LOG_START_FROM = 8, 5
_ACKS_AND_TIMEOUT = struct.Struct(">hi")
_TAKEN = struct.Struct(">ihqqqBBB")
"""A partition's part of a flexible answer without fault: no record errors, no message, no tagged field."""


class ProducePartition(NamedTuple):
    """The records for one partition; None when the client sent null."""

    index: int  # type: ignore[assignment]  # Kafka's name for it; nobody searches a tuple
    records: memoryview | None


class ProduceTopic(NamedTuple):
    """One topic, by name or by id, whichever the version has."""

    topic: str | uuid.UUID
    partitions: Sequence[ProducePartition]


class ProduceRequest(NamedTuple):
    """acks is 0 (no answer), 1, or -1 (all); durable is durable here, so 1 and -1 mean the same."""

    transactional_id: str | None
    acks: int
    timeout_ms: int
    topics: Sequence[ProduceTopic]


class ProducedPartition(NamedTuple):
    """The fate of one partition's records. `leader` is told with NOT_LEADER_OR_FOLLOWER; -1 is unknown."""

    index: int  # type: ignore[assignment]  # Kafka's name for it; nobody searches a tuple
    error_code: int = 0
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start: int = -1
    error_message: str | None = None
    leader: int = -1
    leader_epoch: int = -1


class NodeEndpoint(NamedTuple):
    """Where a leader that was named can be reached, on the listener the client uses."""

    broker_id: int
    host: str
    port: int
    rack: str | None


class ProduceAnswer(NamedTuple):
    """Topics as they were asked, in their order."""

    topics: Sequence[tuple[str | uuid.UUID, Sequence[ProducedPartition]]]
    endpoints: tuple[NodeEndpoint, ...] = ()
    throttle_ms: int = 0

    @property
    def first_error(self) -> int:
        for _, parts in self.topics:
            for part in parts:
                if part.error_code:
                    return part.error_code
        return 0


def decode_produce(version: int, frame: memoryview, position: int) -> ProduceRequest:
    """The request in `frame` from `position` on; MalformedFrame when it is not one."""
    if version >= FLEXIBLE_FROM:
        try:
            return _decode_usual(frame, position, has_ids=version >= TOPIC_ID_FROM)
        except (_Unusual, IndexError, struct.error, UnicodeDecodeError):
            pass  # the slow way reads everything, and knows what to say of the rest
    cursor = Cursor(frame, position=position, flexible=version >= FLEXIBLE_FROM)
    transactional_id, acks, timeout_ms = cursor.nullable_string(), cursor.int16(), cursor.int32()
    topics = tuple(_topic(cursor, version) for _ in range(cursor.count(5)))
    cursor.tags()
    return ProduceRequest(transactional_id=transactional_id, acks=acks, timeout_ms=timeout_ms, topics=topics)


class _Unusual(Exception):
    """Something that producers do not send, or only seldom: a transaction, a tagged field, a null."""


def _decode_usual(frame: memoryview, at: int, *, has_ids: bool) -> ProduceRequest:
    """The usual request, in a quarter of the time: with a small batch, reading it is what costs most."""
    if frame[at]:
        raise _Unusual
    acks, timeout_ms = _ACKS_AND_TIMEOUT.unpack_from(frame, at + 1)
    count, at = _uvarint(frame, at + 1 + _ACKS_AND_TIMEOUT.size)
    topics, items, size = [], count, len(frame)
    for _ in range(count - 1):
        if has_ids:
            topic: str | uuid.UUID = uuid.UUID(bytes=bytes(frame[at : at + 16]))
            at += 16
        else:
            length, at = _uvarint(frame, at)
            if not length:
                raise _Unusual
            at += length - 1
            topic = str(frame[at - length + 1 : at], "utf-8")
        count, at = _uvarint(frame, at)
        if (items := items + count) > MAX_ITEMS:
            raise _Unusual
        partitions = []
        for _ in range(count - 1):
            (index,) = I32.unpack_from(frame, at)
            length, begin = _uvarint(frame, at + 4)
            at = begin + length - 1
            if not length or at >= size or frame[at]:
                raise _Unusual
            partitions.append(ProducePartition(index, frame[begin:at]))
            at += 1
        if frame[at]:
            raise _Unusual
        at += 1
        topics.append(ProduceTopic(topic, partitions))
    if frame[at]:
        raise _Unusual
    return ProduceRequest(None, acks, timeout_ms, topics)


def _uvarint(frame: memoryview, at: int) -> tuple[int, int]:
    """A length plus one, and the place behind it."""
    byte = frame[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while shift < 35:
        at += 1
        byte = frame[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise _Unusual


def _topic(cursor: Cursor, version: int) -> ProduceTopic:
    topic = cursor.uuid() if version >= TOPIC_ID_FROM else cursor.string()
    partitions = tuple(_partition(cursor) for _ in range(cursor.count(5)))
    cursor.tags()
    return ProduceTopic(topic=topic, partitions=partitions)


def _partition(cursor: Cursor) -> ProducePartition:
    index, records = cursor.int32(), cursor.nullable_bytes()
    cursor.tags()
    return ProducePartition(index=index, records=records)


def encode_produce(version: int, answer: ProduceAnswer) -> list[bytes | bytearray | memoryview]:
    """The answer's body."""
    flexible = version >= FLEXIBLE_FROM
    out = bytearray()
    put_count(out, len(answer.topics), flexible=flexible)
    for topic, partitions in answer.topics:
        put_topic(out, topic, flexible=flexible)
        put_count(out, len(partitions), flexible=flexible)
        for partition in partitions:
            _put_partition(out, partition, version)
        if flexible:
            out.append(0)
    out += I32.pack(answer.throttle_ms)
    if flexible:
        put_endpoints(out, answer.endpoints if version >= LEADER_FROM else ())
    return [out]


def _put_partition(out: bytearray, partition: ProducedPartition, version: int) -> None:
    flexible = version >= FLEXIBLE_FROM
    if flexible and not partition.error_code:
        index, _, base_offset, time_ms, log_start, *_ = partition
        out += _TAKEN.pack(index, 0, base_offset, time_ms, log_start, 1, 0, 0)
        return
    out += I32.pack(partition.index)
    out += I16.pack(partition.error_code)
    out += I64.pack(partition.base_offset)
    out += I64.pack(partition.log_append_time_ms)
    if version >= _LOG_START_FROM:
        out += I64.pack(partition.log_start)
    if version >= _ERRORS_FROM:
        put_count(out, 0, flexible=flexible)
        put_string(out, partition.error_message, flexible=flexible)
    if not flexible:
        return
    if version >= LEADER_FROM and partition.leader >= 0:
        put_uvarint(out, 1)
        put_leader(out, tag=0, leader=partition.leader, epoch=partition.leader_epoch)
    else:
        out.append(0)


def put_topic(out: bytearray, topic: str | uuid.UUID, *, flexible: bool) -> None:
    """A topic's name or id."""
    if isinstance(topic, uuid.UUID):
        out += topic.bytes
    else:
        put_string(out, topic, flexible=flexible)


def put_leader(out: bytearray, *, tag: int, leader: int, epoch: int) -> None:
    """The tagged field that tells the current leader (KIP-951): id, epoch, no tags of its own."""
    put_uvarint(out, tag)
    put_uvarint(out, 9)
    out += I32.pack(leader)
    out += I32.pack(epoch)
    out.append(0)


def put_endpoints(out: bytearray, endpoints: tuple[NodeEndpoint, ...]) -> None:
    """The tagged fields at the end of an answer: the endpoints, as tag 0, when there are any."""
    if not endpoints:
        out.append(0)
        return
    body = bytearray()
    put_count(body, len(endpoints), flexible=True)
    for endpoint in endpoints:
        body += I32.pack(endpoint.broker_id)
        put_string(body, endpoint.host, flexible=True)
        body += I32.pack(endpoint.port)
        put_string(body, endpoint.rack, flexible=True)
        body.append(0)
    put_uvarint(out, 1)
    put_uvarint(out, 0)
    put_uvarint(out, len(body))
    out += body
