"""What becomes of slots nobody needs: those below a trim point that stayed or came back, and those of broker epochs
that are over.

An epoch is over when it is not the live one of its broker and has no range left open: everything it acknowledged is in
objects, whatever it may still write is void, and it never comes back. Its slots go; its fence stays for good, because a
writer that sleeps for a month must still find it. So what is left of a settled broker epoch is at most its fence, which
docs/format.md counts as no orphan.

Its trim point goes once it has no slot left: whatever comes back later is garbage without it.

The LIST comes first and the question what is needed second: what was not needed then is not needed later. A stale LIST
only makes the sweeper late.
"""

from __future__ import annotations

import asyncio

from broker.clock import Clock
from broker.objects.store import ObjectStore
from broker.wal.base import Duties, SlotNeeds
from broker.wal.shelf import Shelf
from broker.wal.slot_layout import FENCE_BYTES, PREFIX, Place

AT_ONCE = 16


async def sweep_slots(store: ObjectStore, duties: Duties, clock: Clock) -> int:
    """Deletes them; how many. Only the controller calls this. StoreUnavailable when the store is away."""
    listed = [(Place.of(key), size) for key, size in await store.list(PREFIX)]
    needs = await duties.slots_needed()
    left = {(place.broker, place.epoch) for place, size in listed if place is not None and size != FENCE_BYTES}
    if settled := {one for one in needs.recorded if one not in needs.needed_from and one not in left}:
        await duties.forget_trims(settled)
    garbage = [place for place, size in listed if place is not None and size != FENCE_BYTES and _is_over(place, needs)]
    for start in range(0, len(garbage), AT_ONCE):
        await asyncio.gather(
            *(
                Shelf(store=store, broker=place.broker, epoch=place.epoch, clock=clock).delete(place.sequence)
                for place in garbage[start : start + AT_ONCE]
            )
        )
    return len(garbage)


def _is_over(place: Place, needs: SlotNeeds) -> bool:
    """An epoch that this metadata does not know is somebody's: the metadata was restored from an older copy."""
    if place.epoch > needs.newest_epoch:
        return False
    needed_from = needs.needed_from.get((place.broker, place.epoch))
    return needed_from is None or place.sequence < needed_from
