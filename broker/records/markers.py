"""Control batches: the markers that end a transaction in one partition, as Kafka writes and reads them.

    key    int16 version 0 | int16 type: 0 abort, 1 commit
    value  int16 version 0 | int32 epoch of the coordinator that decided

One record, uncompressed, without a sequence; its batch is transactional and control, and carries the producer's epoch.
Source: org.apache.kafka.common.record.EndTransactionMarker, ControlRecordType.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from crc32c import crc32c

from broker.records.batch import HEADER_BYTES, Batch
from broker.records.contents import varint, write_varint

Bytes = bytes | bytearray | memoryview

_KEY = struct.Struct(">hh")
_VALUE = struct.Struct(">hi")
_BODY = struct.Struct(">hiqqqhii")
_HEAD = struct.Struct(">qiibI")
_ATTRIBUTES = 0x30
"""Transactional, control."""
_NO_SEQUENCE = -1
_COMMIT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """How a producer's transaction ends."""

    producer_id: int
    producer_epoch: int
    coordinator_epoch: int
    """The leader epoch of the partition of `__transaction_state` whose owner decided."""
    commit: bool


def write_marker(marker: Marker, now_ms: int) -> bytes:
    """The batch, at base offset 0 until the log places it."""
    key, value = _KEY.pack(0, int(marker.commit)), _VALUE.pack(0, marker.coordinator_epoch)
    body = b"\0\0\0" + write_varint(len(key)) + key + write_varint(len(value)) + value + b"\0"
    record = write_varint(len(body)) + body
    head = _BODY.pack(
        *(_ATTRIBUTES, 0, now_ms, now_ms, marker.producer_id, marker.producer_epoch, _NO_SEQUENCE, 1),
    )
    crc = crc32c(record, crc32c(head))
    return _HEAD.pack(0, HEADER_BYTES - 12 + len(record), -1, 2, crc) + head + record


def read_marker(data: Bytes, batch: Batch) -> Marker:
    """What a control batch says."""
    view = memoryview(data)[batch.position + HEADER_BYTES : batch.position + batch.size_bytes]
    _, at = varint(view, 0)
    _, at = varint(view, at + 1)
    _, at = varint(view, at)
    key_length, at = varint(view, at)
    (_, kind) = _KEY.unpack_from(view, at)
    _, at = varint(view, at + key_length)
    (_, coordinator_epoch) = _VALUE.unpack_from(view, at)
    return Marker(
        producer_id=batch.producer_id,
        producer_epoch=batch.producer_epoch,
        coordinator_epoch=coordinator_epoch,
        commit=kind == _COMMIT,
    )
