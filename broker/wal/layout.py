"""The bytes of the disk WAL (docs/format.md has the picture): two head slots, then a ring of blocks.

    0      head slot A, 4096 bytes     | written in turn, the newer valid one counts: a torn head write loses nothing
    4096   head slot B, 4096 bytes     |
    8192   ring; a block begins at a multiple of 4096 and may wrap around the end

    head:  magic "SPWALHD1" | crc32c of what follows u32 | generation u64 | ring id 16 | capacity u64 | trim u64
           | sequence u64 | epoch u64, and then, where the writer bounds itself: reach u64 | crc32c of it u32
    block: magic "SPWB" | crc32c of the rest of header and payload u32 | ring id 16 | epoch u64 | sequence u64
           | position u64 | payload bytes u32 | entries u32, then the payload, then zeros to a multiple of 4096
    entry: entries.py

`position` counts bytes since the ring was made and never repeats; where it lies in the file is position modulo
capacity. A block of an older lap has another position, so it is never taken for new. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crc32c import crc32c

from broker.wal.base import Entry
from broker.wal.entries import ENTRY_BYTES, Bytes, pieces_of, read_entries

ALIGN = 4096
"""A sector and page: a later block never rewrites bytes of an earlier one that is already durable."""
RING_AT = 2 * ALIGN

_HEAD_MAGIC = b"SPWALHD1"
_HEAD = struct.Struct(">Q16sQQQQ")
_REACH = struct.Struct(">QI")
_CRC = struct.Struct(">I")
BLOCK_MAGIC = b"SPWB"
_BLOCK = struct.Struct(">16sQQQII")
BLOCK_BYTES = 4 + 4 + _BLOCK.size


@dataclass(frozen=True, kw_only=True)
class Head:
    generation: int
    ring_id: bytes
    capacity: int
    trim: int
    """Position of the oldest block that still counts."""
    sequence: int
    """Every block that counts has this sequence or a higher one."""
    epoch: int
    reach: int
    """No block that counts begins further than this behind `trim`; the capacity where a head does not say."""


def pack_head(head: Head) -> bytes:
    body = _HEAD.pack(head.generation, head.ring_id, head.capacity, head.trim, head.sequence, head.epoch)
    reach = head.reach.to_bytes(8, "big")
    return (_HEAD_MAGIC + _CRC.pack(crc32c(body)) + body + reach + _CRC.pack(crc32c(reach))).ljust(ALIGN, b"\0")


def unpack_head(slot: bytes) -> Head | None:
    """None when the slot holds no whole head."""
    body = slot[12 : 12 + _HEAD.size]
    if slot[:8] != _HEAD_MAGIC or len(body) < _HEAD.size or _CRC.unpack_from(slot, 8)[0] != crc32c(body):
        return None
    generation, ring_id, capacity, trim, sequence, epoch = _HEAD.unpack(body)
    reach, check = _REACH.unpack_from(slot, 12 + _HEAD.size)
    if check != crc32c(reach.to_bytes(8, "big")):
        reach = capacity
    return Head(
        generation=generation,
        ring_id=ring_id,
        capacity=capacity,
        trim=trim,
        sequence=sequence,
        epoch=epoch,
        reach=min(reach, capacity),
    )


def aligned(size_bytes: int) -> int:
    """Rounded up to whole pages."""
    return -(-size_bytes // ALIGN) * ALIGN


def reserve_bytes(entry: Entry) -> int:
    """The most space one entry can take: as if it were alone in its block."""
    return aligned(BLOCK_BYTES + ENTRY_BYTES + len(entry.records))


@dataclass(frozen=True, kw_only=True)
class Block:
    epoch: int
    sequence: int
    position: int
    payload: memoryview
    count: int

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return self.position + aligned(BLOCK_BYTES + len(self.payload))


def pack_block(ring_id: bytes, epoch: int, sequence: int, position: int, entries: Sequence[Entry]) -> list[Bytes]:
    """The pieces of one block, padded, for one gathering write; records are not copied."""
    pieces: list[Bytes] = [b"", *pieces_of(entries)]
    payload_bytes = sum(map(len, pieces))
    body = _BLOCK.pack(ring_id, epoch, sequence, position, payload_bytes, len(entries))
    crc = crc32c(body)
    for piece in pieces:
        crc = crc32c(piece, crc)
    pieces[0] = BLOCK_MAGIC + _CRC.pack(crc) + body
    size = BLOCK_BYTES + payload_bytes
    pieces.append(bytes(aligned(size) - size))
    return pieces


def block_size(start: bytes, ring_id: bytes, position: int) -> int | None:
    """Bytes of the block whose header begins `start`, unpadded; None unless it is a header of this ring at this
    position.
    """
    if len(start) < BLOCK_BYTES or start[:4] != BLOCK_MAGIC:
        return None
    found_ring, _, _, found_position, payload_bytes, _ = _BLOCK.unpack_from(start, 8)
    if found_ring != ring_id or found_position != position:
        return None
    return BLOCK_BYTES + int(payload_bytes)


def unpack_block(data: bytes) -> Block | None:
    """The whole block, or None when its checksum says that it is not one."""
    if _CRC.unpack_from(data, 4)[0] != crc32c(memoryview(data)[8:]):
        return None
    _, epoch, sequence, position, _, count = _BLOCK.unpack_from(data, 8)
    return Block(epoch=epoch, sequence=sequence, position=position, payload=memoryview(data)[BLOCK_BYTES:], count=count)


def entries_of(block: Block) -> Iterator[Entry]:
    """WalError when the entries do not fill the payload."""
    return read_entries(block.payload, block.count, f"block {block.sequence} at {block.position}")
