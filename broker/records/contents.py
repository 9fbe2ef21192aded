"""The records inside a batch, decompressed: what the cleaner of compacted topics reads and leaves out (law 2).

    record   length varint | attributes i8 | timestamp delta varlong | offset delta varint
             | key length varint (-1 none), key | value length varint (-1 none), value | headers

A record that stays is copied as it is from its offset delta on; only a new base timestamp changes what stands before.
Source: org.apache.kafka.common.record.DefaultRecord.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crc32c import crc32c

from broker.records.batch import HEADER_BYTES, Batch

Bytes = bytes | bytearray | memoryview

DELETE_HORIZON = 0x40
"""The attribute that says: the base timestamp is when tombstones and markers of this batch may go (KIP-534)."""
_CODEC_MASK = 0x07
_MAX_SHIFT = 70
_BODY = struct.Struct(">hiqqqhii")
_CONTROL_KEY = struct.Struct(">hh")
ABORT = 0


class LyingRecords(Exception):
    """The records are not what the batch's header says, or not records at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One record and where it lies in the decompressed bytes."""

    offset_delta: int
    timestamp_delta: int
    key: bytes | None
    has_value: bool
    start: int
    """Of its length field."""
    rest: int
    """Of its offset delta: from here on its bytes never change."""
    end: int


def varint(data: Bytes, at: int) -> tuple[int, int]:
    """A zigzag varint and where it ends. IndexError past the end, LyingRecords when it is longer than ten bytes."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at
    value, shift = byte & 0x7F, 7
    while shift < _MAX_SHIFT:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise LyingRecords("a varint of more than ten bytes")


def write_varint(value: int) -> bytes:
    """Zigzag, as Kafka writes them."""
    number = (value << 1) ^ (value >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def records(data: Bytes, batch: Batch) -> Iterator[Record]:
    """Every record of a decompressed batch. LyingRecords when they do not fill it, or contradict its header."""
    at = 0
    previous = -1
    try:
        for _ in range(batch.count):
            start = at
            size, body = varint(data, at)
            end = body + size
            timestamp_delta, rest = varint(data, body + 1)
            offset_delta, at = varint(data, rest)
            key_length, at = varint(data, at)
            key = None
            if key_length >= 0:
                key = bytes(data[at : at + key_length])
                at += key_length
            value_length, at = varint(data, at)
            if not (at <= end <= len(data) and previous < offset_delta <= batch.last_offset_delta):
                raise LyingRecords(f"record at byte {start}: delta {offset_delta} after {previous}, or past the end")
            yield Record(
                offset_delta=offset_delta,
                timestamp_delta=timestamp_delta,
                key=key,
                has_value=value_length >= 0,
                start=start,
                rest=rest,
                end=end,
            )
            at, previous = end, offset_delta
    except IndexError as error:
        raise LyingRecords(f"{batch.count} records do not fit into {len(data)} bytes") from error
    if at != len(data):
        raise LyingRecords(f"{len(data) - at} bytes behind the last of {batch.count} records")


def lacks_key(data: Bytes, batch: Batch) -> bool:
    """Whether any record of an uncompressed batch has no key. LyingRecords when it cannot be read."""
    body = memoryview(data)[batch.position + HEADER_BYTES : batch.position + batch.size_bytes]
    return any(record.key is None for record in records(body, batch))


def has_horizon(batch: Batch) -> bool:
    return bool(batch.attributes & DELETE_HORIZON)


def is_abort(data: Bytes) -> bool:
    """Whether a control batch's record aborts its transaction; control batches are never compressed."""
    _, at = varint(data, 0)
    _, at = varint(data, at + 1)
    _, at = varint(data, at)
    _, at = varint(data, at)
    return bool(_CONTROL_KEY.unpack_from(data, at)[1] == ABORT)


def retained(data: Bytes, kept: Sequence[Record], batch: Batch, base_timestamp: int) -> bytes:
    """The kept records alone, their timestamps told from `base_timestamp`."""
    shift = batch.base_timestamp - base_timestamp
    if not shift:
        return b"".join([bytes(data[record.start : record.end]) for record in kept])
    pieces: list[bytes] = []
    for record in kept:
        delta = write_varint(record.timestamp_delta + shift)
        rest = bytes(data[record.rest : record.end])
        pieces += [write_varint(1 + len(delta) + len(rest)), b"\x00", delta, rest]
    return b"".join(pieces)


def rebuilt(batch: Batch, payload: bytes, *, count: int, attributes: int, base_timestamp: int, newest: int) -> bytes:
    """The batch around other records: offsets, producer and sequence stay what they were."""
    body = _BODY.pack(
        *(attributes, batch.last_offset_delta, base_timestamp, newest),
        *(batch.producer_id, batch.producer_epoch, batch.base_sequence, count),
    )
    crc = crc32c(payload, crc32c(body))
    length = HEADER_BYTES - 12 + len(payload)
    head = struct.pack(">qiibI", batch.base_offset, length, batch.leader_epoch, 2, crc)
    return head + body + payload


def emptied(batch: Batch, *, base_timestamp: int) -> bytes:
    """The header alone, uncompressed, as Kafka leaves it of the last batch of a producer that is still known."""
    return rebuilt(
        batch,
        b"",
        count=0,
        attributes=batch.attributes & ~_CODEC_MASK,
        base_timestamp=base_timestamp,
        newest=batch.max_timestamp,
    )
