"""Which record is the first at or after a time, as far as it can be known without decompressing (law 2).

In an uncompressed batch that is the record itself. In a compressed one it is the batch: its first offset is never later
than the record asked for, so a consumer that starts there misses nothing.
"""

from __future__ import annotations

from contextlib import suppress

from broker.records.batch import HEADER_BYTES, Batch, batches
from broker.records.contents import LyingRecords, has_horizon, varint

Bytes = bytes | bytearray | memoryview
NOTHING = (-1, -1)


def first_at(data: Bytes, timestamp_ms: int, floor: int = 0) -> tuple[int, int]:
    """(offset, timestamp) of the first record at or after `timestamp_ms` in a blob of batches, and not below the offset
    `floor`; (-1, -1) for none.
    """
    for batch in batches(data):
        if batch.max_timestamp >= timestamp_ms and batch.next_offset > floor and batch.count:
            offset, found_ms = _in_batch(data, batch, timestamp_ms)
            return max(offset, floor), found_ms
    return NOTHING


def _in_batch(data: Bytes, batch: Batch, timestamp_ms: int) -> tuple[int, int]:
    if batch.is_log_append_time:
        return batch.base_offset, batch.max_timestamp
    if batch.codec == "none":
        with suppress(IndexError, ValueError, LyingRecords):  # records are opaque until here: they may be anything
            return _in_records(data, batch, timestamp_ms)
    at_least = timestamp_ms if has_horizon(batch) else max(batch.base_timestamp, timestamp_ms)
    return batch.base_offset, min(at_least, batch.max_timestamp)


def _in_records(data: Bytes, batch: Batch, timestamp_ms: int) -> tuple[int, int]:
    at = batch.position + HEADER_BYTES
    for _ in range(batch.count):
        size, begin = varint(data, at)
        delta, at = varint(data, begin + 1)
        if batch.base_timestamp + delta >= timestamp_ms:
            offset_delta, _ = varint(data, at)
            return batch.base_offset + offset_delta, batch.base_timestamp + delta
        at = begin + size
    raise ValueError("the header's newest timestamp is in no record")
