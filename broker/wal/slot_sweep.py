"""What becomes of slots nobody needs: those below a trim point that stayed or came back, and those of broker epochs
that are over.

An epoch is over when it is not the live one of its broker and has no range left open: everything it acknowledged is in
objects, whatever it may still write is void, and it never comes back. Its slots go; its fence stays for good, because a
writer that sleeps for a month must still find it. So what is left of a settled broker epoch is at most its fence, which
docs/format.md counts as no orphan.

The LIST comes first and the question what is needed second: what was not needed then is not needed later. A stale LIST
only makes the sweeper late.
"""

from __future__ import annotations

from broker.clock import Clock
from broker.objects.store import ObjectStore
from broker.wal.base import Duties
from broker.wal.shelf import Shelf
from broker.wal.slot_layout import FENCE_BYTES, PREFIX, Place


async def sweep_slots(store: ObjectStore, duties: Duties, clock: Clock) -> int:
    """Deletes them; how many. Only the controller calls this. StoreUnavailable when the store is away."""
    listed = [(Place.of(key), size) for key, size in await store.list(PREFIX)]
    needs = await duties.slots_needed()
    swept = 0
    for place, size in listed:
        if place is None or size == FENCE_BYTES or place.epoch > needs.newest_epoch:
            continue
        needed_from = needs.needed_from.get((place.broker, place.epoch))
        if needed_from is None or place.sequence < needed_from:
            shelf = Shelf(store=store, broker=place.broker, epoch=place.epoch, clock=clock)
            await shelf.delete(place.sequence)
            swept += 1
    return swept
