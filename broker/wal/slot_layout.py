"""The bytes and the keys of the object WAL (docs/format.md has the picture).

    key    wal/{broker}/{epoch}/{sequence}      sequence in 12 digits, from 000000000000 on, none left out

    slot   magic "SPWS" | crc32c of what follows u32 | writer 16 | broker u32 | epoch u64 | sequence u64
           | payload bytes u32 | entries u32, then the entries (entries.py)
    fence  the same header with magic "SPWF", no entries and no payload; its writer is the recoverer

A fence takes the key of a slot, so that put-if-absent decides between the two. It is as long as a header and a slot is
always longer: a LIST tells them apart. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from crc32c import crc32c

from broker.wal.base import Entry
from broker.wal.entries import Bytes, pieces_of, read_entries

PREFIX = "wal/"

_SLOT_MAGIC, _FENCE_MAGIC = b"SPWS", b"SPWF"
_CRC = struct.Struct(">I")
_HEADER = struct.Struct(">16sIQQII")
FENCE_BYTES = 4 + 4 + _HEADER.size


@dataclass(frozen=True, kw_only=True)
class Place:
    """One slot of one broker epoch."""

    broker: int
    epoch: int
    sequence: int

    @property
    def key(self) -> str:
        return f"{PREFIX}{self.broker}/{self.epoch}/{self.sequence:012d}"

    @classmethod
    def of(cls, key: str) -> Place | None:
        """None for a key that is no slot's."""
        parts = key.removeprefix(PREFIX).split("/")
        if not key.startswith(PREFIX) or len(parts) != 3 or not all(part.isdecimal() for part in parts):
            return None
        broker, epoch, sequence = map(int, parts)
        return cls(broker=broker, epoch=epoch, sequence=sequence)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What lies at a place, read and checked."""

    place: Place
    writer: bytes
    is_fence: bool
    payload: memoryview
    count: int

    def entries(self) -> list[Entry]:
        return list(read_entries(self.payload, self.count, self.place.key))


def pack_slot(place: Place, writer: bytes, entries: Sequence[Entry]) -> bytes:
    return _pack(_SLOT_MAGIC, place, writer, pieces_of(entries), len(entries))


def pack_fence(place: Place, writer: bytes) -> bytes:
    return _pack(_FENCE_MAGIC, place, writer, [], 0)


def _pack(magic: bytes, place: Place, writer: bytes, pieces: list[Bytes], count: int) -> bytes:
    size = sum(map(len, pieces))
    body = _HEADER.pack(writer, place.broker, place.epoch, place.sequence, size, count)
    crc = crc32c(body)
    for piece in pieces:
        crc = crc32c(piece, crc)
    return b"".join([magic, _CRC.pack(crc), body, *pieces])


def unpack(place: Place, data: bytes) -> Slot | None:
    """None unless these are whole and belong there: a GET that was cut short, or bytes that rotted."""
    magic = data[:4]
    if len(data) < FENCE_BYTES or magic not in (_SLOT_MAGIC, _FENCE_MAGIC):
        return None
    if _CRC.unpack_from(data, 4)[0] != crc32c(memoryview(data)[8:]):
        return None
    writer, broker, epoch, sequence, size, count = _HEADER.unpack_from(data, 8)
    payload = memoryview(data)[FENCE_BYTES:]
    if Place(broker=broker, epoch=epoch, sequence=sequence) != place or size != len(payload):
        return None
    return Slot(place=place, writer=writer, is_fence=magic == _FENCE_MAGIC, payload=payload, count=count)
