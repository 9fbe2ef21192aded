"""The bytes of an object (docs/format.md has the picture): blocks of record batches, then an index, then a trailer.

    blocks   per partition, in order: whole record batches as produced, about 256 KiB together, nothing between them
    index    per block: partition uid u64 | base offset u64 | end offset u64 | max timestamp i64 | position u64
             | bytes u32 | crc32c u32
    trailer  index position u64 | index bytes u32 | crc32c of the index u32 | version u32 | magic "SPOB"

A reader gets the last bytes (the size is in the metadata), then the index, then only the blocks it needs; each proves
itself by its own checksum, so a truncated or mixed-up answer of the store is never served. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

from crc32c import crc32c

from broker.objects.faults import Damaged

BLOCK_BYTES = 256 * 1024
MOST_PIECES = 32
"""Of one block, that are written as they are."""
TRAILER = struct.Struct(">QIII4s")
_ENTRY = struct.Struct(">QQQqQII")
_VERSION = 1
_MAGIC = b"SPOB"

Bytes = bytes | bytearray | memoryview


class DamagedObject(Damaged):
    """An object, or a part of one, that does not prove itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockEntry:
    uid: int
    base_offset: int
    end_offset: int
    max_timestamp_ms: int
    position: int
    size_bytes: int
    crc: int


class Piece(NamedTuple):
    """One or more whole batches of one partition, as they lie in memory."""

    base_offset: int
    end_offset: int
    max_timestamp_ms: int
    data: Bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """A whole object, in the pieces it was made of: 32 MiB need not lie in memory twice to be written."""

    pieces: Sequence[Bytes]
    size_bytes: int

    def joined(self) -> bytes:
        """Copies everything once: run it off the event loop when it is large. Piece by piece, because one join of
        32 MiB keeps the interpreter from the loop for all of it (law 14).
        """
        whole = BytesIO()
        for piece in self.pieces:
            whole.write(piece)
        return whole.getvalue()


class ObjectBuilder:
    """Gathers pieces into one object; only small ones are copied, together, for writing thousands costs more."""

    def __init__(self) -> None:
        self._pieces: list[Bytes] = []
        self._entries: list[BlockEntry] = []
        self.size_bytes = 0

    def add(self, uid: int, pieces: Iterable[Piece]) -> None:
        """One partition's records, contiguous and in order; call it once per partition."""
        block: list[Piece] = []
        size = 0
        for piece in pieces:
            if block and size + len(piece.data) > BLOCK_BYTES:
                self._close(uid, block)
                block, size = [], 0
            block.append(piece)
            size += len(piece.data)
        if block:
            self._close(uid, block)

    def _close(self, uid: int, block: Sequence[Piece]) -> None:
        data: list[Bytes] = [piece.data for piece in block]
        if len(data) > MOST_PIECES:
            data = [b"".join(data)]
        crc = size = 0
        for each in data:
            crc = crc32c(each, crc)
            size += len(each)
        self._pieces += data
        self._entries.append(
            BlockEntry(
                uid=uid,
                base_offset=block[0].base_offset,
                end_offset=block[-1].end_offset,
                max_timestamp_ms=max(piece.max_timestamp_ms for piece in block),
                position=self.size_bytes,
                size_bytes=size,
                crc=crc,
            )
        )
        self.size_bytes += size

    def build(self) -> Blob:
        """The whole object."""
        index = b"".join(
            _ENTRY.pack(e.uid, e.base_offset, e.end_offset, e.max_timestamp_ms, e.position, e.size_bytes, e.crc)
            for e in self._entries
        )
        trailer = TRAILER.pack(self.size_bytes, len(index), crc32c(index), _VERSION, _MAGIC)
        end = index + trailer
        return Blob(pieces=[*self._pieces, end], size_bytes=self.size_bytes + len(end))


def build(parts: Iterable[tuple[int, Iterable[Piece]]]) -> Blob:
    """An object of these partitions (uid, its pieces); checksums take long, so it runs in a thread."""
    builder = ObjectBuilder()
    for uid, pieces in parts:
        builder.add(uid, pieces)
    return builder.build()


def index_span(tail: Bytes) -> tuple[int, int]:
    """(position, bytes) of the index, from an object's last bytes."""
    position, size, _, version, magic = _trailer(tail)
    if magic != _MAGIC or version != _VERSION:
        raise DamagedObject(f"object trailer {magic!r} version {version}: not an object of ours, or cut short")
    return position, size


def _trailer(tail: Bytes) -> tuple[int, int, int, int, bytes]:
    if len(tail) < TRAILER.size:
        raise DamagedObject(f"{len(tail)} bytes where a trailer of {TRAILER.size} should be")
    found: tuple[int, int, int, int, bytes] = TRAILER.unpack_from(tail, len(tail) - TRAILER.size)
    return found


def unpack_index(index: Bytes, tail: Bytes) -> tuple[BlockEntry, ...]:
    """Every block of the object, checked against the trailer's checksum."""
    if crc32c(index) != _trailer(tail)[2]:
        raise DamagedObject("the object's index does not match its checksum")
    return tuple(
        BlockEntry(
            uid=uid,
            base_offset=base,
            end_offset=end,
            max_timestamp_ms=timestamp,
            position=position,
            size_bytes=size,
            crc=crc,
        )
        for uid, base, end, timestamp, position, size, crc in _ENTRY.iter_unpack(index)
    )


def check_block(entry: BlockEntry, data: Bytes) -> None:
    """DamagedObject unless `data` is the block's bytes."""
    if len(data) != entry.size_bytes or crc32c(data) != entry.crc:
        raise DamagedObject(f"block at {entry.position}: {len(data)} of {entry.size_bytes} bytes, or another checksum")
