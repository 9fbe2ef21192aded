"""Which record is the first at or after a time, as far as it can be known without decompressing (law 2).

In an uncompressed batch that is the record itself. In a compressed one it is the batch: its first offset is never later
than the record asked for, so a consumer that starts there misses nothing.
"""

from __future__ import annotations

from contextlib import suppress

from broker.records.batch import HEADER_BYTES, Batch, batches

Bytes = bytes | bytearray | memoryview
NOTHING = (-1, -1)
MAX_SHIFT = 70


def first_at(data: Bytes, timestamp_ms: int) -> tuple[int, int]:
    """(offset, timestamp) of the first record at or after `timestamp_ms` in a blob of batches; (-1, -1) for none."""
    for batch in batches(data):
        if batch.max_timestamp >= timestamp_ms:
            return _in_batch(data, batch, timestamp_ms)
    return NOTHING


def _in_batch(data: Bytes, batch: Batch, timestamp_ms: int) -> tuple[int, int]:
    if batch.is_log_append_time:
        return batch.base_offset, batch.max_timestamp
    if batch.codec == "none":
        with suppress(IndexError, ValueError):  # records are opaque until here: they may be anything
            return _in_records(data, batch, timestamp_ms)
    return batch.base_offset, max(batch.base_timestamp, min(timestamp_ms, batch.max_timestamp))


def _in_records(data: Bytes, batch: Batch, timestamp_ms: int) -> tuple[int, int]:
    at = batch.position + HEADER_BYTES
    for number in range(batch.count):
        size, begin = _varint(data, at)
        delta, _ = _varint(data, begin + 1)
        if batch.base_timestamp + delta >= timestamp_ms:
            return batch.base_offset + number, batch.base_timestamp + delta
        at = begin + size
    raise ValueError("the header's newest timestamp is in no record")


def _varint(data: Bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, as Kafka writes them, and where it ends."""
    value = shift = 0
    while shift < MAX_SHIFT:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7
    raise ValueError("a varint of more than ten bytes")
