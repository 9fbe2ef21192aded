"""The bytes of TAIL, with which a broker reads the tails of partitions that another one leads (KIP-392).

    TAIL v0  int32 wait ms, [int64 uid, int8 committed, int32 epoch, int64 offset, int32 bytes]
         ->  [int64 uid, int8 committed, int16 error, int64 high watermark, int64 last stable, int64 log start,
              [int64 producer, int64 first, int64 marker], int32 size, batches]

`committed` 1: up to the last stable offset, with the aborted transactions in it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from broker.wire.cursor import I32, Cursor

TAIL = 30_004
MAX_BYTES = 4 * 1024 * 1024
"""Of records in one answer, but for the first batch, which always comes."""
MAX_FRAME_BYTES = 128 * 1024 * 1024
"""The largest batch a topic can be made to take, and more."""
_ASKED = struct.Struct(">qbiqi")
_TOLD = struct.Struct(">qbhqqq")
_ABORTED = struct.Struct(">qqq")


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedTail:
    """From which offset on one partition is read."""

    uid: int
    committed: bool
    epoch: int
    offset: int
    max_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldTail:
    """What there was."""

    uid: int
    committed: bool
    error: int
    high_watermark: int = -1
    last_stable: int = -1
    log_start: int = -1
    aborted: tuple[tuple[int, int, int], ...] = ()
    """(producer id, first offset, offset of the marker)"""
    records: bytes | memoryview = b""


def put_asked(wait_ms: int, asked: Collection[AskedTail]) -> bytes:
    """The body of a question."""
    parts = [_ASKED.pack(each.uid, each.committed, each.epoch, each.offset, each.max_bytes) for each in asked]
    return I32.pack(wait_ms) + I32.pack(len(parts)) + b"".join(parts)


def read_asked(cursor: Cursor) -> tuple[int, list[AskedTail]]:
    """(how long to wait, what is asked)."""
    wait_ms, found = cursor.int32(), []
    for _ in range(cursor.count(_ASKED.size)):
        uid, committed, epoch, offset, max_bytes = _ASKED.unpack(cursor.take(_ASKED.size))
        found.append(AskedTail(uid=uid, committed=bool(committed), epoch=epoch, offset=offset, max_bytes=max_bytes))
    return wait_ms, found


def put_told(told: Sequence[ToldTail]) -> bytes:
    """The body of an answer."""
    out = bytearray(I32.pack(len(told)))
    for each in told:
        marks = (each.high_watermark, each.last_stable, each.log_start)
        out += _TOLD.pack(each.uid, each.committed, each.error, *marks) + I32.pack(len(each.aborted))
        for one in each.aborted:
            out += _ABORTED.pack(*one)
        out += I32.pack(len(each.records)) + each.records
    return bytes(out)


def read_told(cursor: Cursor) -> list[ToldTail]:
    found = []
    for _ in range(cursor.count(_TOLD.size)):
        uid, committed, error, high, stable, start = _TOLD.unpack(cursor.take(_TOLD.size))
        aborted = tuple(_ABORTED.unpack(cursor.take(_ABORTED.size)) for _ in range(cursor.count(_ABORTED.size)))
        found.append(
            ToldTail(
                uid=uid,
                committed=bool(committed),
                error=error,
                high_watermark=high,
                last_stable=stable,
                log_start=start,
                aborted=aborted,
                records=bytes(cursor.take(cursor.int32())),
            )
        )
    return found
