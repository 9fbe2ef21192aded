"""The bytes of WRITERS, with which a broker asks a leader who writes to its partitions (DescribeProducers).

WRITERS v0  [int64 uid]
        ->  [int16 error, [int64 producer, int32 epoch, int32 last sequence, int64 last ms, int32 coordinator
            epoch, int64 open since]], in the order of the uids
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

from broker.wire.cursor import I16, I32, I64, Cursor

WRITERS = 30_005
MAX_FRAME_BYTES = 16 * 1024 * 1024
MOST_AT_ONCE = 16
"""Partitions in a question: of 20,000 producers each, the answer fits a frame."""
_WRITER = struct.Struct(">qiiqiq")
_LEAST_BYTES = 6
"""A partition nobody writes to."""
Writer = tuple[int, int, int, int, int, int]


def put_asked(uids: Collection[int]) -> bytes:
    """The body of a question."""
    return I32.pack(len(uids)) + b"".join(I64.pack(uid) for uid in uids)


def read_asked(cursor: Cursor) -> list[int]:
    return [cursor.int64() for _ in range(cursor.count(I64.size))]


def put_told(told: Sequence[tuple[int, Sequence[Writer]]]) -> bytes:
    """The body of an answer: an error, or who writes."""
    out = bytearray(I32.pack(len(told)))
    for error, writers in told:
        out += I16.pack(error) + I32.pack(len(writers))
        for one in writers:
            out += _WRITER.pack(*one)
    return bytes(out)


def read_told(cursor: Cursor) -> list[tuple[int, list[Writer]]]:
    found = []
    for _ in range(cursor.count(_LEAST_BYTES)):
        error = cursor.int16()
        found.append((error, [_WRITER.unpack(cursor.take(_WRITER.size)) for _ in range(cursor.count(_WRITER.size))]))
    return found
