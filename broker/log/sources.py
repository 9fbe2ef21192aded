"""Blocks of old objects on their way into new ones: few large range GETs, each block proven by its checksum.

An output takes neighbouring blocks of each of its objects, so spans are joined over small gaps: reading what is not
needed is cheaper than a request of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from broker.log.reader import object_key
from broker.metadata.compactions import Held
from broker.objects.layout import (
    TRAILER,
    BlockEntry,
    DamagedObject,
    Piece,
    check_block,
    index_span,
    unpack_index,
)
from broker.objects.store import ObjectStore

TAIL_BYTES = 32 * 1024
"""Asked for at first: trailer and index of most objects in one GET."""
GAP_BYTES = 64 * 1024
SPAN_BYTES = 8 * 1024 * 1024
"""Of one GET at most: its checksums take 2 ms of the event loop."""

Place = tuple[int, int]
"""uid, start: a range."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Blocks that one GET brings, in the object's order."""

    start: int
    end: int
    wanted: tuple[tuple[Place, BlockEntry], ...]


async def read_index(store: ObjectStore, object_id: int, size: int) -> tuple[BlockEntry, ...]:
    """Every block of an object of that size."""
    key, length = object_key(object_id), min(size, TAIL_BYTES)
    if length < TRAILER.size:
        raise DamagedObject(f"object {object_id} of {size} bytes is too short for a trailer")
    tail = await store.get_range(key, size - length, length)
    position, index_bytes = index_span(tail)
    at = position - (size - length)
    if not 0 <= position <= position + index_bytes <= size - TRAILER.size:
        raise DamagedObject(f"object {object_id} of {size} bytes has its index at {position}")
    index = tail[at : at + index_bytes] if at >= 0 else await store.get_range(key, position, index_bytes)
    return await asyncio.get_running_loop().run_in_executor(None, unpack_index, index, tail)


def spans(blocks: Sequence[BlockEntry], ranges: Sequence[Held]) -> list[Span]:
    """The GETs that bring those ranges out of one object. DamagedObject when it does not hold all their bytes."""
    found: list[tuple[Place, BlockEntry]] = []
    by_uid: dict[int, list[BlockEntry]] = {}
    for block in blocks:
        by_uid.setdefault(block.uid, []).append(block)
    for held in ranges:
        row = held.row
        inside = [b for b in by_uid.get(held.uid, []) if row.start <= b.base_offset < row.end]
        if (there := sum(block.size_bytes for block in inside)) != row.size_bytes:
            raise DamagedObject(
                f"object {row.object_id} holds {there} bytes of partition {held.uid:x} from {row.start} to {row.end},"
                f" the metadata says {row.size_bytes}"
            )
        found += [((held.uid, row.start), block) for block in inside]
    return _joined(sorted(found, key=lambda one: one[1].position))


def _joined(found: Sequence[tuple[Place, BlockEntry]]) -> list[Span]:
    joined: list[Span] = []
    first = 0
    for number, (_, block) in enumerate(found):
        begin, before = found[first][1], found[max(number - 1, first)][1]
        far = block.position - (before.position + before.size_bytes) > GAP_BYTES
        long = block.position + block.size_bytes - begin.position > SPAN_BYTES
        if number > first and (far or long):
            joined.append(_span(found[first:number]))
            first = number
    if found:
        joined.append(_span(found[first:]))
    return joined


def _span(wanted: Sequence[tuple[Place, BlockEntry]]) -> Span:
    last = wanted[-1][1]
    return Span(start=wanted[0][1].position, end=last.position + last.size_bytes, wanted=tuple(wanted))


async def read_span(store: ObjectStore, object_id: int, span: Span) -> list[tuple[Place, Piece]]:
    """The span's blocks, each checked; what does not prove itself is asked for again by the store."""
    pieces: list[tuple[Place, Piece]] = []

    def cut(data: bytes) -> None:
        view = memoryview(data)
        pieces.clear()
        for place, block in span.wanted:
            part = view[block.position - span.start : block.position - span.start + block.size_bytes]
            check_block(block, part)
            piece = Piece(
                base_offset=block.base_offset,
                end_offset=block.end_offset,
                max_timestamp_ms=block.max_timestamp_ms,
                data=part,
            )
            pieces.append((place, piece))

    await store.get_range(object_key(object_id), span.start, span.end - span.start, check=cut)
    return pieces
