"""What every WAL on a ring file shares: one writer thread that commits in groups, and the count of what is not trimmed.

The thread takes whatever queued while it synced the last group, writes it as one block, syncs, and tells the event loop
once per group: at any load there is one fdatasync in flight, and the busier the broker, the larger the groups.

An entry counts as if it were alone in its block, in whole pages: so small records, whose cost at recovery is their
number, and large ones, whose cost is their bytes, meet the same limit (docs/decisions/0005), and what counts is never
less than what the ring holds.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import NamedTuple

from broker.wal.base import Entry, Recovered, WalError, WalFull, WalStats
from broker.wal.layout import reserve_bytes
from broker.wal.ring import Ring

GROUP_BYTES = 2 * 1024 * 1024
"""A group is closed at this size: its sync stays short, and whom it answers can send while the next is written."""


class Append(NamedTuple):
    entry: Entry
    durable: Callable[[], None]
    reserved_bytes: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Written and synced; not acknowledged yet."""

    appends: Sequence[Append]
    mark: int
    """The position behind it."""
    begun: float


@dataclass(frozen=True, kw_only=True)
class _Trim:
    mark: int
    done: asyncio.Future[None]


class RingWal:
    """The part between `append` and the fence; `_written` is where a kind puts its own."""

    failed: asyncio.Future[WalError]

    def __init__(self, ring: Ring, recovered: Recovered, limit_bytes: int) -> None:
        self._ring = ring
        self.recovered = recovered
        self.on_group: Callable[[float], None] = lambda seconds: None
        self.stats = WalStats(capacity_bytes=ring.capacity, limit_bytes=min(ring.capacity, limit_bytes))
        self._coming: list[Append | _Trim | None] = []
        """Of this pass of the loop; handed to the thread together, since waking it costs more than a small append."""
        self._queue: SimpleQueue[list[Append | _Trim | None]] = SimpleQueue()
        """Without a lock of ours: the loop never waits in `append` for the thread to be done with taking (law 14)."""
        self._kept: deque[Append | _Trim | None] = deque()
        """The thread's own: what it took from the queue and comes back to when the group is written; never while it
        waits.
        """
        self._thread = threading.Thread(target=self._run, name="wal-writer", daemon=True)
        self._acked_mark = ring.position
        self._counted = deque([(ring.position, ring.position - ring.trimmed)])
        """(mark behind a group, what it counts), until it is trimmed."""
        self._used_bytes = ring.position - ring.trimmed
        self._broken = False

    def start(self, epoch: int) -> None:
        """Begins to write blocks of `epoch`."""
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._epoch = epoch
        self._thread.start()

    def append(self, entry: Entry, durable: Callable[[], None]) -> None:
        need = reserve_bytes(entry)
        if self._broken:
            raise WalFull("the WAL has failed")
        if self._used_bytes + need > self.stats.limit_bytes:
            raise WalFull(f"{self._used_bytes} of {self.stats.limit_bytes} WAL bytes await upload")
        self._used_bytes += need
        self._put(Append(entry, durable, need))

    @property
    def used_bytes(self) -> int:
        """Written or queued, and not trimmed."""
        return self._used_bytes

    def mark(self) -> int:
        return self._acked_mark

    async def trim(self, mark: int) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._put(_Trim(mark=mark, done=done))
        await done
        while self._counted and self._counted[0][0] <= mark:
            self._used_bytes -= self._counted.popleft()[1]

    async def close(self) -> None:
        if self._thread.is_alive():
            self._put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the file without writing anything."""
        self._ring.close()

    # -- the writer thread -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Before the first group."""
        self._ring.start_epoch(self._epoch, self.stats.limit_bytes)

    def _run(self) -> None:
        try:
            self._begin()
            while self._take():
                pass
        except Exception as error:
            self._tell(self._fail, WalError(f"{self._ring.path}: {error}; the broker stops, start it again to recover"))

    def _take(self) -> bool:
        """One group or trim, of which nothing is kept while the thread waits for the next; False at the end."""
        work = self._gather()
        if work is None:
            return False
        if isinstance(work, _Trim):
            self._ring.trim(work.mark)
            self._tell(self._trim_done, work.done)
        else:
            begun = time.perf_counter()
            mark = self._ring.write([one.entry for one in work])
            self._tell(self._group_done, Group(appends=work, mark=mark, begun=begun))
        return True

    def _gather(self) -> list[Append] | _Trim | None:
        """Everything at the head of the queue that may share a sync; a trim or the end comes alone."""
        group: list[Append] = []
        size = 0
        while size < GROUP_BYTES:
            if not self._kept:
                try:
                    self._kept.extend(self._queue.get(block=not group))
                except Empty:
                    break
            if not isinstance(first := self._kept[0], Append):
                return group or self._end_or_trim()
            group.append(first)
            size += len(first.entry.records)
            self._kept.popleft()
        return group

    def _end_or_trim(self) -> _Trim | None:
        found = self._kept.popleft()
        assert not isinstance(found, Append)
        return found

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
            self._loop.call_soon_threadsafe(what, *arguments)

    # -- back on the event loop --------------------------------------------------------------------------------------

    def _put(self, what: Append | _Trim | None) -> None:
        self._coming.append(what)
        if len(self._coming) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._queue.put(self._coming)
        self._coming = []

    def _group_done(self, group: Group) -> None:
        self._counted.append((group.mark, sum(one.reserved_bytes for one in group.appends)))
        self._written(group)

    def _written(self, group: Group) -> None:
        """On the disk; kinds whose fence is not a lock ask it here, and acknowledge later."""
        self._acknowledge(group)

    def _acknowledge(self, group: Group) -> None:
        if self._broken:
            return
        self._acked_mark = group.mark
        self.stats.groups += 1
        self.on_group(time.perf_counter() - group.begun)
        for one in group.appends:
            one.durable()

    def _trim_done(self, done: asyncio.Future[None]) -> None:
        if not done.done():
            done.set_result(None)

    def _fail(self, error: WalError) -> None:
        self._broken = True
        self.stats.errors += 1
        if not self.failed.done():
            self.failed.set_result(error)
