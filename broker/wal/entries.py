"""Entries as bytes, the same in a ring's block and in a slot (docs/format.md).

entry: partition uid u64 | leader epoch u32 | base offset u64 | end offset u64 | bytes u32, then record batches
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from broker.wal.base import Entry, WalError

Bytes = bytes | bytearray | memoryview

_ENTRY = struct.Struct(">QIQQI")
ENTRY_BYTES = _ENTRY.size


def pieces_of(entries: Sequence[Entry]) -> list[Bytes]:
    """Headers and records in turn; records are not copied."""
    pieces: list[Bytes] = []
    for entry in entries:
        size = len(entry.records)
        pieces.append(_ENTRY.pack(entry.uid, entry.epoch, entry.base_offset, entry.end_offset, size))
        pieces.append(entry.records)
    return pieces


def read_entries(payload: memoryview, count: int, where: str) -> Iterator[Entry]:
    """WalError when they do not fill the payload: its checksum held, so that is a writer's fault, not the disk's."""
    at = 0
    for _ in range(count):
        uid, epoch, base, end, size = _ENTRY.unpack_from(payload, at)
        at += ENTRY_BYTES
        yield Entry(uid=uid, epoch=epoch, base_offset=base, end_offset=end, records=payload[at : at + size])
        at += size
    if at != len(payload):
        raise WalError(f"{where}: entries end at {at} of {len(payload)}")
