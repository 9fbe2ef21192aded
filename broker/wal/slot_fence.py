"""The fence of the object WAL: what a recoverer does before it believes what it read.

1. The fence goes into the LOWEST absent slot at or above the trim point, by put-if-absent. The writer never skips a
   slot and acknowledges in slot order, so whatever it acknowledges lies below its lowest unwritten slot: the fence is
   in its way, and what lies above the fence was never acknowledged and never will be. It is void.
2. Slots are found by GET, one number after the other; a LIST may be stale and is never asked.
3. An absent slot may be one that was trimmed since the trim point was read. Trims are recorded before anything is
   deleted, so the trim point is read again after the fence stands: if it lies above the fence, that fence stands where
   nobody writes any more, and the walk goes on from the new trim point.
4. A fence is never deleted, whoever put it there: a second recoverer, or the same one after a crash, stops at it.
5. A slot's bytes never change. One that was deleted and comes back, because a PUT that had been given up took effect
   late, lies below the trim point (or below the fence of a recovery that is over), where nobody reads.

tests/broker/wal/test_slot_model.py walks through all interleavings of this, and finds the loss in variants of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from broker.wal.base import Duties, Entry
from broker.wal.shelf import Shelf
from broker.wal.slot_layout import Slot, pack_fence

READ_AHEAD = 32
"""GETs under way at once: recovery has to be quick. None of them decides where the fence goes."""


@dataclass(frozen=True, kw_only=True)
class Fenced:
    """One broker epoch behind its fence."""

    shelf: Shelf
    start: int
    """The trim point."""
    fence: int
    """The fence's own sequence."""
    entries: list[Entry]


async def fence_and_read(shelf: Shelf, duties: Duties, recoverer: bytes) -> Fenced:
    """Fences that epoch and gives what lies below. StoreUnavailable or the metadata's error: try again, nothing is
    spoilt by it.
    """
    start = await duties.trim_point(shelf.broker, shelf.epoch)
    while True:
        fence, slots = await _walk(shelf, start, recoverer)
        trim_point = await duties.trim_point(shelf.broker, shelf.epoch)
        if trim_point <= fence:
            entries = [entry for slot in slots if slot.place.sequence >= trim_point for entry in slot.entries()]
            return Fenced(shelf=shelf, start=trim_point, fence=fence, entries=entries)
        start = trim_point


async def _walk(shelf: Shelf, start: int, recoverer: bytes) -> tuple[int, list[Slot]]:
    """From `start` to the first fence, put there when there is none; its sequence, and the slots before it."""
    slots: list[Slot] = []
    while True:
        first = start + len(slots)
        for sequence, ahead in enumerate(await _read(shelf, first), start=first):
            slot = ahead if ahead is not None else await _put_fence(shelf, sequence, recoverer)
            if slot.is_fence:
                return sequence, slots
            slots.append(slot)


async def _read(shelf: Shelf, first: int) -> list[Slot | None]:
    """The next slots, in order. One is read alone before many are: most often there is nothing left."""
    found: list[Slot | None] = [await shelf.get(first)]
    if found[0] is not None and not found[0].is_fence:
        found += await asyncio.gather(*(shelf.get(first + number) for number in range(1, READ_AHEAD)))
    return found


async def _put_fence(shelf: Shelf, sequence: int, recoverer: bytes) -> Slot:
    """What lies there once nobody can put anything there any more: the fence, or a slot that came first."""
    fence = pack_fence(shelf.place(sequence), recoverer)
    while True:
        await shelf.put(sequence, fence)
        if (slot := await shelf.get(sequence)) is not None:
            return slot
