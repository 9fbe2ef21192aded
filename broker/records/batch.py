"""The header of a v2 record batch, and nothing inside it: records are opaque (law 2).

    offset  bytes  field                    offset  bytes  field
         0      8  base offset                  27      8  base timestamp (ms)
         8      4  length of what follows       35      8  max timestamp (ms)
        12      4  leader epoch                 43      8  producer id (-1 none)
        16      1  magic, 2                     51      2  producer epoch
        17      4  CRC32C of byte 21 to end     53      4  base sequence
        21      2  attributes                   57      4  record count
        23      4  last offset delta            61      -  records, perhaps compressed

Base offset and leader epoch stand before the checksummed part, so the broker patches them in place and copies nothing.
Source: org.apache.kafka.common.record.DefaultRecordBatch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from crc32c import crc32c

from broker.errors import CorruptMessage, InvalidRecord, UnsupportedCompressionType, UnsupportedForMessageFormat

HEADER_BYTES = 61
"""The whole header; a batch is never shorter."""
PREFIX_BYTES = 12
"""Base offset and length: what the length field does not count."""

_HEADER = struct.Struct(">qiixIhiqqqhii")
"""Without the magic byte."""
_PREFIX = struct.Struct(">qi")
_LEADER_EPOCH = struct.Struct(">i")
_ATTRIBUTES = struct.Struct(">h")
_MAX_TIMESTAMP = struct.Struct(">q")
_CRC = struct.Struct(">I")
_CRC_AT = 17
_CRC_FROM = 21
_MAX_TIMESTAMP_AT = 35
_LENGTH_AT = 8
_MAGIC_AT = 16
_MIN_RECORD_BYTES = 7  # length, attributes, two deltas, key and value lengths, header count: a byte each

_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_CODEC_MASK, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL, _DELETE_HORIZON = 0x07, 0x08, 0x10, 0x20, 0x40

Bytes = bytes | bytearray | memoryview


class Batch(NamedTuple):
    """One header, parsed. Where it lies in its blob is `position`, so that the blob itself is never copied. A
    tuple, for making one is a good part of a small Produce; the fields after `position` are in the header's order.
    """

    position: int
    """Byte offset of the batch in the blob it was parsed from."""
    base_offset: int
    length: int
    """The length field: bytes after the first twelve."""
    leader_epoch: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    """-1 when the producer is not idempotent."""
    producer_epoch: int
    base_sequence: int
    count: int  # type: ignore[assignment]  # the field's name in Kafka; nobody counts in a header
    """Records inside, by the producer's word."""

    @property
    def size_bytes(self) -> int:
        """The whole batch, header included."""
        return self.length + PREFIX_BYTES

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequences wrap from 2^31-1 to 0."""
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF

    @property
    def codec(self) -> str:
        return _CODECS[self.attributes & _CODEC_MASK]

    @property
    def is_idempotent(self) -> bool:
        return self.producer_id >= 0

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def is_log_append_time(self) -> bool:
        return bool(self.attributes & _LOG_APPEND_TIME)


def parse(data: Bytes, position: int = 0) -> Batch:
    """The header at `position`. CorruptMessage when it is cut short, of another format or claims more than is there."""
    available = len(data) - position
    if available < HEADER_BYTES:
        raise CorruptMessage(f"a batch needs {HEADER_BYTES} bytes of header, {max(available, 0)} are left")
    if data[position + _MAGIC_AT] != 2:
        raise UnsupportedForMessageFormat(
            f"batch format {data[position + _MAGIC_AT]}: only format 2 (Kafka 0.11 and later) is stored"
        )
    batch = tuple.__new__(Batch, (position, *_HEADER.unpack_from(data, position)))
    length = batch.length
    if length < HEADER_BYTES - PREFIX_BYTES or length + PREFIX_BYTES > available:
        raise CorruptMessage(f"batch length {length} with {available - PREFIX_BYTES} bytes there")
    if batch.attributes & _CODEC_MASK >= len(_CODECS):
        raise UnsupportedCompressionType(f"compression codec {batch.attributes & _CODEC_MASK} is unknown")
    return batch


def is_transactional(data: Bytes) -> bool:
    """Whether the first batch says so; False for what is no batch."""
    return len(data) >= HEADER_BYTES and bool(data[_CRC_FROM + 1] & _TRANSACTIONAL)


def batches(data: Bytes) -> Iterator[Batch]:
    """Every batch of a blob, in order. CorruptMessage when the blob does not end with a batch's end."""
    position, end = 0, len(data)
    while position < end:
        batch = parse(data, position)
        yield batch
        position += batch.length + PREFIX_BYTES


def check_crc(data: Bytes, batch: Batch) -> None:
    """CorruptMessage unless the batch's bytes have the checksum its header claims."""
    view = memoryview(data)[batch.position + _CRC_FROM : batch.position + batch.size_bytes]
    computed = crc32c(view)
    if computed != batch.crc:
        raise CorruptMessage(f"CRC32C is {computed:#010x}, the header says {batch.crc:#010x}")


def check_produced(data: Bytes) -> tuple[Batch, ...]:
    """What a client may append, checked: format, lengths, CRC, and the claims of the header against each other.

    CorruptMessage, InvalidRecord, UnsupportedCompressionType or UnsupportedForMessageFormat; nothing is decompressed.
    """
    found = tuple(batches(data))
    if not found:
        raise InvalidRecord("no record batch in the request")
    for batch in found:
        check_crc(data, batch)
        _check_claims(batch)
    return found


def _check_claims(batch: Batch) -> None:
    attributes, count = batch.attributes, batch.count
    if attributes & _CONTROL:
        raise InvalidRecord("a client may not write a control batch")
    if attributes & ~0x7F:
        raise InvalidRecord(f"attributes {attributes:#06x} have bits that format 2 does not know")
    if count < 1 or batch.last_offset_delta != count - 1:
        raise InvalidRecord(f"{count} records with last offset delta {batch.last_offset_delta}")
    payload_bytes = batch.length + PREFIX_BYTES - HEADER_BYTES
    if not attributes & _CODEC_MASK and count * _MIN_RECORD_BYTES > payload_bytes:
        raise InvalidRecord(f"{count} records cannot fit in {payload_bytes} bytes")
    if batch.producer_id >= 0:
        if batch.producer_epoch < 0 or batch.base_sequence < 0:
            raise InvalidRecord(
                f"producer {batch.producer_id} with epoch {batch.producer_epoch} and sequence {batch.base_sequence}"
            )
    elif attributes & _TRANSACTIONAL:
        raise InvalidRecord("a transactional batch without a producer id")


def stamp(data: bytearray | memoryview, batch: Batch, now_ms: int) -> None:
    """Makes the broker's clock the batch's: LogAppendTime in the attributes, the newest timestamp, and a new CRC."""
    _ATTRIBUTES.pack_into(data, batch.position + _CRC_FROM, batch.attributes | _LOG_APPEND_TIME)
    _MAX_TIMESTAMP.pack_into(data, batch.position + _MAX_TIMESTAMP_AT, now_ms)
    body = memoryview(data)[batch.position + _CRC_FROM : batch.position + batch.size_bytes]
    _CRC.pack_into(data, batch.position + _CRC_AT, crc32c(body))


def patch(data: bytearray | memoryview, batch: Batch, *, base_offset: int, leader_epoch: int) -> None:
    """Gives the batch its place in the log, in `data` itself; the CRC does not cover these bytes."""
    _PREFIX.pack_into(data, batch.position, base_offset, batch.length)
    _LEADER_EPOCH.pack_into(data, batch.position + PREFIX_BYTES, leader_epoch)
