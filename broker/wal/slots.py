"""The object WAL: slots in an object store, put if absent, acknowledged in order. No lock and nothing on this host.

1. A group of entries takes the next slot. While nothing is in flight a group is sent at once, so that on a fast store
   an acknowledgement takes one PUT; while something is, entries gather until it is done, for 250 ms, or up to 8 MiB,
   whichever comes first. Up to 50 slots are in flight. Each PUT costs money: with a pace, entries gather at least that
   long, or up to 8 MiB.
2. A slot is never skipped, and acknowledgements come in slot order: what is acknowledged is contiguous, which is what
   the fence rests on (slot_fence.py).
3. A PUT that was not answered with success is ambiguous, whatever was answered: the slot is read back. Ours: it is
   done. Absent: the same bytes go to the same slot again. A fence, or anybody else's: this broker epoch is over, and
   nothing is acknowledged after that (law 7).
4. A store that is away costs no data and ends nothing: nothing is acknowledged, entries gather, and when the room is
   used up `append` refuses.
5. The trim point is in the metadata before a slot below it is deleted, and only slots that were acknowledged are ever
   below it. What cannot be deleted, or comes back by a PUT that had been given up, the sweeper finds (slot_sweep.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from broker.clock import Clock
from broker.ids import Entropy
from broker.objects.store import ObjectStore, StoreUnavailable
from broker.wal.base import Duties, Entry, Recovered, WalError, WalFull, WalStats
from broker.wal.entries import ENTRY_BYTES
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import Fenced, fence_and_read
from broker.wal.slot_layout import pack_slot

SLOT_BYTES = 8 * 1024 * 1024
LINGER_S = 0.25
IN_FLIGHT = 50
LEAST_ROOM_BYTES = 128 * 1024
"""What a slot takes of the WAL's room at least, so that the number of slots a recovery must read is bounded too."""
AGAIN_S = 0.2
DELETES = 16
PACKED_HERE_BYTES = 512 * 1024

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Append:
    entry: Entry
    durable: Callable[[], None]
    size_bytes: int


@dataclass(kw_only=True, slots=True)
class _Flight:
    """One slot from its closing to its acknowledgement."""

    sequence: int
    group: Sequence[_Append]
    size_bytes: int
    begun: float
    stored: bool = False


class ObjectWal:
    """Holds nothing until `start`: what fences it is the name of its broker epoch."""

    failed: asyncio.Future[WalError]

    def __init__(
        self,
        *,
        store: ObjectStore,
        broker: int,
        capacity_bytes: int,
        duties: Duties,
        clock: Clock,
        entropy: Entropy,
        pace_s: float,
        say: Say,
    ) -> None:
        self.recovered = Recovered(entries=(), note="")
        self.on_group: Callable[[float], None] = lambda seconds: None
        self.stats = WalStats(capacity_bytes=capacity_bytes, limit_bytes=capacity_bytes)
        self._store, self._broker, self._duties, self._clock, self._say = store, broker, duties, clock, say
        self._me, self._pace_s = entropy(16), pace_s
        self._queue: deque[_Append] = deque()
        self._queued_bytes = 0
        self._oldest = self._sent_at = 0.0
        self._line: deque[_Flight] = deque()
        """Closed and not acknowledged, in order."""
        self._unstored = 0
        self._rooms: deque[tuple[int, int]] = deque()
        """(sequence, room) of everything closed and not trimmed."""
        self._room_bytes = 0
        self._next = self._acknowledged = self._trimmed = 0
        self._earlier: list[Fenced] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumping = self._lingering = self._away = self._broken = False

    # -- as a Wal ----------------------------------------------------------------------------------------------------

    async def read_back(self, epochs: Sequence[int]) -> Sequence[Entry]:
        """Fences this broker's earlier epochs and reads what they left."""
        self._earlier = [await fence_and_read(self._shelf_of(epoch), self._duties, self._me) for epoch in epochs]
        return [entry for fenced in self._earlier for entry in fenced.entries]

    def start(self, epoch: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._epoch = epoch
        self._shelf = self._shelf_of(epoch)

    def append(self, entry: Entry, durable: Callable[[], None]) -> None:
        size = ENTRY_BYTES + len(entry.records)
        if self._broken:
            raise WalFull("the WAL is lost")
        if self.used_bytes + size > self.stats.limit_bytes:
            raise WalFull(f"{self.used_bytes} of {self.stats.limit_bytes} WAL bytes await the store or an upload")
        if not self._queue:
            self._oldest = self._clock.monotonic()
        self._queue.append(_Append(entry=entry, durable=durable, size_bytes=size))
        self._queued_bytes += size
        if not self._pumping:  # after this turn of the loop: what is appended in it shares a slot
            self._pumping = True
            self._loop.call_soon(self._pump)

    @property
    def used_bytes(self) -> int:
        return self._queued_bytes + self._room_bytes

    def mark(self) -> int:
        return self._acknowledged

    async def trim(self, mark: int) -> None:
        """Forgets the slots before `mark`; they are deleted soon after."""
        first = self._trimmed
        if mark <= first:
            return
        await self._duties.record_trim(self._broker, self._epoch, mark)
        self._trimmed = mark
        while self._rooms and self._rooms[0][0] < mark:
            self._room_bytes -= self._rooms.popleft()[1]
        self._spawn(delete(self._shelf, first, mark))

    async def forget_recovered(self) -> None:
        """Records that nothing below the earlier epochs' fences is needed, and deletes it; the fences stay."""
        for fenced in self._earlier:
            shelf = fenced.shelf
            await self._duties.record_trim(shelf.broker, shelf.epoch, fenced.fence)
            self._spawn(delete(shelf, fenced.start, fenced.fence))
        self._earlier = []

    async def close(self) -> None:
        """Waits for the store as long as it takes; who cannot wait cancels it."""
        try:
            self._pump()
            while self._tasks and not self._broken:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.abandon()

    def abandon(self) -> None:
        self._broken = True
        for task in self._tasks:
            task.cancel()

    # -- closing slots -----------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Sends what is due, and comes back when the rest is."""
        self._pumping = False
        while self._queue and not self._broken and len(self._line) < IN_FLIGHT:
            due = max(self._sent_at + self._pace_s, self._oldest + LINGER_S if self._unstored else 0.0)
            wait_s = due - self._clock.monotonic()
            if self._queued_bytes < SLOT_BYTES and wait_s > 0:
                self._come_back_in(wait_s)
                return
            self._send()

    def _come_back_in(self, seconds: float) -> None:
        if not self._lingering:
            self._lingering = True
            self._spawn(self._linger(seconds))

    async def _linger(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._lingering = False
        self._pump()

    def _send(self) -> None:
        group: list[_Append] = []
        size = 0
        while self._queue and (not group or size + self._queue[0].size_bytes <= SLOT_BYTES):
            group.append(self._queue.popleft())
            size += group[-1].size_bytes
        self._queued_bytes -= size
        self._oldest = self._sent_at = self._clock.monotonic()
        room = max(size, LEAST_ROOM_BYTES)
        flight = _Flight(sequence=self._next, group=group, size_bytes=size, begun=self._sent_at)
        self._next += 1
        self._rooms.append((flight.sequence, room))
        self._room_bytes += room
        self._line.append(flight)
        self._unstored += 1
        self._spawn(self._store_it(flight))

    # -- until it is stored ------------------------------------------------------------------------------------------

    async def _store_it(self, flight: _Flight) -> None:
        data = await self._packed(flight)
        try:
            while not await self._is_stored(flight.sequence, data):
                await self._clock.sleep(AGAIN_S)
        except WalError as error:
            self._lose(error)
            return
        self._back()
        flight.stored = True
        self._unstored -= 1
        self._acknowledge()
        self._pump()

    async def _packed(self, flight: _Flight) -> bytes:
        """The slot's bytes; those of a large one are copied and summed in a thread (law 14)."""
        place, entries = self._shelf.place(flight.sequence), [one.entry for one in flight.group]
        if flight.size_bytes < PACKED_HERE_BYTES:
            return pack_slot(place, self._me, entries)
        return await self._loop.run_in_executor(None, pack_slot, place, self._me, entries)

    async def _is_stored(self, sequence: int, data: bytes) -> bool:
        """One PUT, settled by reading the slot back unless it succeeded; False when it is to be sent again."""
        try:
            try:
                if await self._shelf.put(sequence, data):
                    return True
            except StoreUnavailable as error:
                self._gone(error)
            found = await self._shelf.get(sequence)
        except StoreUnavailable as error:
            self._gone(error)
            return False
        if found is None:
            return False
        if found.is_fence or found.writer != self._me:
            whose = "a fence" if found.is_fence else "another writer's slot"
            raise WalError(
                f"{found.place.key} in {self._store.url} holds {whose}: broker {self._broker} was declared dead, or its"
                " id runs elsewhere"
            )
        return True

    def _acknowledge(self) -> None:
        """Everything stored at the head of the line, and nothing behind a gap."""
        while self._line and self._line[0].stored and not self._broken:
            flight = self._line.popleft()
            self._acknowledged = flight.sequence + 1
            self.stats.groups += 1
            self.on_group(self._clock.monotonic() - flight.begun)
            for one in flight.group:
                one.durable()

    def _gone(self, error: StoreUnavailable) -> None:
        if not self._away:
            self._away = True
            self._say(f"the WAL's store is away, so nothing is acknowledged until it is back: {error}")

    def _back(self) -> None:
        if self._away:
            self._away = False
            self._say("the WAL's store is back")

    def _lose(self, error: WalError) -> None:
        self._broken = True
        self.stats.errors += 1
        if not self.failed.done():
            self.failed.set_result(error)

    def _shelf_of(self, epoch: int) -> Shelf:
        return Shelf(store=self._store, broker=self._broker, epoch=epoch, clock=self._clock)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._lose(WalError(f"the object WAL failed: {error!r}; start the broker again to recover"))


async def delete(shelf: Shelf, first: int, end: int) -> None:
    """Deletes slots from `first` up to `end`, some at a time; what fails is the sweeper's."""
    for start in range(first, end, DELETES):
        some = range(start, min(start + DELETES, end))
        done = await asyncio.gather(*(shelf.delete(sequence) for sequence in some), return_exceptions=True)
        if any(isinstance(one, StoreUnavailable) for one in done):
            return
