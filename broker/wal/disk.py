"""The local-disk WAL: a ring file, a lifetime lock, and one writer thread that commits in groups.

The thread takes whatever queued while it synced the last group, writes it as one block, syncs, and tells the event loop
once per group: at any load there is one fdatasync in flight, and the busier the broker, the larger the groups. The
fence is the lock (holder.py): a recoverer that obtains it knows that this writer is gone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker.ids import Entropy
from broker.wal.base import Entry, Recovered, WalError, WalFull, WalStats
from broker.wal.holder import LifetimeLock
from broker.wal.layout import reserve_bytes
from broker.wal.ring import Ring

RING_FILE, LOCK_FILE = "ring", "lock"
DEFAULT_BYTES = 256 * 1024 * 1024
GROUP_BYTES = 8 * 1024 * 1024
"""A group is closed at this size, so that its sync stays short."""


def directory_of(url: str) -> Path:
    """The directory of a `file://` WAL URL; WalError for kinds this broker does not have."""
    scheme, _, path = url.partition("://")
    if scheme != "file" or not path or "?" in path:
        raise WalError(f"WAL {url}: give file:///directory")
    return Path(path)


@dataclass(frozen=True, kw_only=True)
class _Append:
    entry: Entry
    durable: Callable[[], None]
    reserved_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Trim:
    mark: int
    done: asyncio.Future[None]


class DiskWal:
    """Opened in two steps: `take` fences and reads, `start` begins to write under a new broker epoch."""

    failed: asyncio.Future[WalError]

    def __init__(self, lock: LifetimeLock, ring: Ring, recovered: Recovered) -> None:
        self._lock = lock
        self._ring = ring
        self.recovered = recovered
        self.on_group: Callable[[float], None] = lambda seconds: None
        self.stats = WalStats(capacity_bytes=ring.capacity)
        self._queue: deque[_Append | _Trim | None] = deque()
        self._queued = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="wal-writer", daemon=True)
        self._reserved_bytes = 0
        self._durable_mark = ring.position
        self._trimmed = ring.trimmed
        self._broken = False

    @classmethod
    def take(cls, directory: Path, capacity: int, entropy: Entropy) -> DiskWal:
        """Locks the directory and reads what is in it. Blocking. HeldByAnother or WalError."""
        lock = LifetimeLock.take(directory / LOCK_FILE)
        try:
            ring = Ring.open(directory / RING_FILE, capacity, entropy(16))
            return cls(lock, ring, ring.recover())
        except OSError as error:
            lock.release()
            raise WalError(f"{directory}: {error.strerror or error}; check the directory and the disk") from error
        except WalError:
            lock.release()
            raise

    async def read_back(self, epochs: Sequence[int]) -> Sequence[Entry]:
        """Everything in the ring: `take` has read it, and the lock is the fence of all earlier epochs."""
        return self.recovered.entries

    def start(self, epoch: int) -> None:
        """Begins to write blocks of `epoch`."""
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        self._ring.start_epoch(epoch)
        self._thread.start()

    def append(self, entry: Entry, durable: Callable[[], None]) -> None:
        need = reserve_bytes(entry)
        if self._broken:
            raise WalFull("the WAL has failed")
        if self.used_bytes + need > self._ring.capacity:
            raise WalFull(f"{self.used_bytes} of {self._ring.capacity} WAL bytes await upload")
        self._reserved_bytes += need
        self._put(_Append(entry=entry, durable=durable, reserved_bytes=need))

    @property
    def used_bytes(self) -> int:
        """Written or queued, and not trimmed."""
        return self._durable_mark + self._reserved_bytes - self._trimmed

    def mark(self) -> int:
        return self._durable_mark

    async def trim(self, mark: int) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._put(_Trim(mark=mark, done=done))
        await done
        self._trimmed = max(self._trimmed, mark)

    async def forget_recovered(self) -> None:
        """What was read at opening is in objects now, or void: its space may be used again."""
        await self.trim(self._durable_mark)
        self.recovered = Recovered(entries=(), note="")

    async def close(self) -> None:
        if self._thread.is_alive():
            self._put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self.abandon()

    async def let_go(self) -> None:
        """`abandon`, for a recoverer that is done."""
        self.abandon()

    def abandon(self) -> None:
        """Lets go of file and lock without writing anything."""
        self._ring.close()
        self._lock.release()

    # -- the writer thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (group := self._gather()) is not None:
                if isinstance(group, _Trim):
                    self._ring.trim(group.mark)
                    self._tell(self._trim_done, group.done)
                else:
                    begun = time.perf_counter()
                    mark = self._ring.write([one.entry for one in group])
                    self._tell(self._group_done, group, mark, time.perf_counter() - begun)
        except Exception as error:
            self._tell(self._fail, WalError(f"{self._ring.path}: {error}; the broker stops, start it again to recover"))

    def _gather(self) -> list[_Append] | _Trim | None:
        """Everything at the head of the queue that may share a sync; a trim or the end comes alone."""
        group: list[_Append] = []
        size = 0
        with self._queued:
            self._queued.wait_for(lambda: self._queue)
            while self._queue and size < GROUP_BYTES:
                first = self._queue[0]
                if not isinstance(first, _Append):
                    if group:
                        return group
                    self._queue.popleft()
                    return first
                self._queue.popleft()
                group.append(first)
                size += len(first.entry.records)
        return group

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits for the answer any more
            self._loop.call_soon_threadsafe(what, *arguments)

    # -- back on the event loop --------------------------------------------------------------------------------------

    def _put(self, what: _Append | _Trim | None) -> None:
        with self._queued:
            self._queue.append(what)
            self._queued.notify()

    def _group_done(self, group: list[_Append], mark: int, seconds: float) -> None:
        if self._broken:
            return
        self._durable_mark = mark
        self._reserved_bytes -= sum(one.reserved_bytes for one in group)
        self.stats.groups += 1
        self.on_group(seconds)
        for one in group:
            one.durable()

    def _trim_done(self, done: asyncio.Future[None]) -> None:
        if not done.done():
            done.set_result(None)

    def _fail(self, error: WalError) -> None:
        self._broken = True
        self.stats.errors += 1
        if not self.failed.done():
            self.failed.set_result(error)
