"""The slots of one broker epoch in one store: put, get and delete by sequence, in the store's own bounded time.

What the store answers is one of three: done, taken (or absent), or `StoreUnavailable`, which says nothing about what
became of the request. A request that was given up here may still take effect there, at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from broker.clock import Clock
from broker.objects.store import BadStore, Exists, Missing, ObjectStore, StoreUnavailable
from broker.wal.base import WalError
from broker.wal.slot_layout import Place, Slot, unpack

READ_TRIES = 4
READ_WAIT_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Shelf:
    store: ObjectStore
    broker: int
    epoch: int
    clock: Clock

    def place(self, sequence: int) -> Place:
        return Place(broker=self.broker, epoch=self.epoch, sequence=sequence)

    async def put(self, sequence: int, data: bytes) -> bool:
        """False when the key is taken, be it by an earlier try of the same PUT. StoreUnavailable: who knows."""
        with _unanswered():
            try:
                await self.store.put(self.place(sequence).key, data, create=True)
            except Exists:
                return False
        return True

    async def get(self, sequence: int) -> Slot | None:
        """None when the slot is absent. WalError when it stays unreadable: what a store cut short comes whole the next
        time, what rotted does not.
        """
        place = self.place(sequence)
        size = 0
        for attempt in range(READ_TRIES):
            if attempt:
                await self.clock.sleep(READ_WAIT_S)
            with _unanswered():
                try:
                    data = await self.store.get(place.key)
                except Missing:
                    return None
            if (slot := unpack(place, data)) is not None:
                return slot
            size = len(data)
        raise WalError(
            f"{place.key} in {self.store.url} is corrupt ({size} bytes, read {READ_TRIES} times): it had been"
            " acknowledged, so it is not passed over; bring the object back from a copy"
        )

    async def delete(self, sequence: int) -> None:
        with _unanswered():
            await self.store.delete(self.place(sequence).key)


@contextmanager
def _unanswered() -> Iterator[None]:
    """One error for every way in which a store does not do it: credentials and buckets come back like networks."""
    try:
        yield
    except (BadStore, Missing) as error:
        raise StoreUnavailable(str(error)) from error
