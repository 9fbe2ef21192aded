"""The WAL on a network volume or in a shared directory: other hosts may read it, and a zombie may write to it.

    DIR/lock-BROKER          flock where the file system knows it; its presence says that this is the right directory
    DIR/ring-BROKER-EPOCH    one ring (ring.py) per life, so that a zombie can never write over its successor

The fence is the order of two things. A writer acknowledges only after write -> fdatasync -> a read of the metadata that
began after fdatasync returned and found its epoch alive. A recoverer reads only after the epoch was ended. So what was
acknowledged was on the disk before the recoverer looked, and what a zombie writes later is never acknowledged.

1. Groups are written while earlier ones are verified, one read serves all groups synced before it began, and
   acknowledgements keep the order of the appends.
2. A verify that says no is final: the broker exits. One that cannot be asked (the metadata store is away) is asked
   again; until it answers nothing is acknowledged, and producers time out and retry.
3. A life that has no ring wrote nothing; a directory without the lock file is not the right one, which is an error.
4. Rings of earlier lives are deleted by a later life of the same broker, once it has recovered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker.clock import Clock
from broker.errors import KafkaError
from broker.ids import Entropy
from broker.wal.base import PENDING_BYTES, Duties, Entry, Recovered, WalError
from broker.wal.directories import make_directory, sync_directory
from broker.wal.holder import LifetimeLock
from broker.wal.ring import Ring
from broker.wal.writer import Group, RingWal

VERIFY_S = 5.0
"""For one verify; after it the question is asked anew."""
RETRY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Place:
    """One broker's files in a shared directory."""

    directory: Path
    broker: int

    @property
    def lock(self) -> Path:
        return self.directory / f"lock-{self.broker}"

    def ring(self, epoch: int) -> Path:
        return self.directory / f"ring-{self.broker}-{epoch:016d}"

    def rings(self) -> dict[int, Path]:
        """Epoch to ring, by a listing: a file's absence alone may be a stale answer of a network file system."""
        mark = f"ring-{self.broker}-"
        names = [path.name for path in self.directory.iterdir()]
        return {int(name.removeprefix(mark)): self.directory / name for name in names if _is_ring(name, mark)}

    def unnamed(self) -> list[Path]:
        """Rings that have no epoch: of lives that ended, or are, between their making and their registration."""
        return list(self.directory.glob(f"new-{self.broker}-*"))

    def prepare(self) -> LifetimeLock | None:
        """The lock, or None where the file system knows none; its file is durable either way. HeldByAnother."""
        make_directory(self.directory)
        try:
            return LifetimeLock.take(self.lock)
        except OSError:
            self.lock.touch()
            return None
        finally:
            sync_directory(self.directory)

    def read(self, epochs: Sequence[int]) -> list[Entry]:
        """What those lives left. WalError when this is not the directory they wrote to. Blocking."""
        try:
            if not self.lock.exists():
                raise WalError(f"broker {self.broker} never kept a WAL there, for {self.lock} is missing")
            rings = self.rings()
            return [entry for epoch in epochs if epoch in rings for entry in _read(rings[epoch])]
        except OSError as error:
            raise WalError(f"{self.directory}: {error.strerror or error}; check the volume and its mount") from error


def _is_ring(name: str, mark: str) -> bool:
    return name.startswith(mark) and name.removeprefix(mark).isdigit()


def _read(path: Path) -> Sequence[Entry]:
    ring = Ring.existing(path, writable=False)
    try:
        return ring.recover().entries
    finally:
        ring.close()


class SharedWal(RingWal):
    """Made by `make` under a name of its own; `start` names the ring after the epoch."""

    def __init__(
        self,
        place: Place,
        lock: LifetimeLock | None,
        ring: Ring,
        *,
        duties: Duties,
        clock: Clock,
        say: Callable[[str], None],
        limit_bytes: int = PENDING_BYTES,
    ) -> None:
        super().__init__(ring, Recovered(entries=(), note=""), limit_bytes)
        self._place, self._lock = place, lock
        self._duties, self._clock, self._say = duties, clock, say
        self._unverified: list[Group] = []
        self._due = asyncio.Event()
        self._verifier: asyncio.Task[None] | None = None

    @staticmethod
    def make_ring(place: Place, capacity: int, entropy: Entropy) -> Ring:
        """A new ring under a name that no other process has. Blocking. WalError."""
        ring_id = entropy(16)
        ring = Ring.open(place.directory / f"new-{place.broker}-{ring_id.hex()}", capacity, ring_id)
        ring.recover()
        return ring

    def start(self, epoch: int) -> None:
        super().start(epoch)
        self._verifier = self._loop.create_task(self._verify_for_ever())

    def _begin(self) -> None:
        """The ring gets its name before the first group: no recoverer may miss it."""
        self._ring.path = self._ring.path.rename(self._place.ring(self._epoch))
        sync_directory(self._place.directory)
        super()._begin()

    async def read_back(self, epochs: Sequence[int]) -> Sequence[Entry]:
        """What earlier lives left; registration has ended them, wherever they ran."""
        return await self._loop.run_in_executor(None, self._place.read, epochs)

    async def forget_recovered(self) -> None:
        """Deletes the rings of earlier lives. A zombie that still has one open writes to a file without a name."""
        await self._loop.run_in_executor(None, self._delete_older)

    def _delete_older(self) -> None:
        with suppress(OSError):  # what stays is only space; the next life tries again
            older = [path for epoch, path in self._place.rings().items() if epoch < self._epoch]
            for path in (*older, *self._place.unnamed()):
                if path != self._ring.path:
                    path.unlink(missing_ok=True)

    async def close(self) -> None:
        await super().close()
        if self._verifier is not None:
            self._verifier.cancel()
            await asyncio.gather(self._verifier, return_exceptions=True)

    def abandon(self) -> None:
        super().abandon()
        if self._ring.path in self._place.unnamed():
            self._ring.path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()

    # -- the fence ---------------------------------------------------------------------------------------------------

    def _written(self, group: Group) -> None:
        self._unverified.append(group)
        self._due.set()

    async def _verify_for_ever(self) -> None:
        while not self._broken:
            await self._due.wait()
            self._due.clear()
            groups, self._unverified = self._unverified, []
            if groups and await self._verified():
                for group in groups:
                    self._acknowledge(group)

    async def _verified(self) -> bool:
        """Whether this life was still the broker's own at a moment after the last sync; it waits for an answer."""
        told = False
        while True:
            try:
                async with asyncio.timeout(VERIFY_S):
                    await self._duties.verify(self._place.broker, self._epoch)
                return True
            except WalError as error:
                self._fail(error)
                return False
            except (KafkaError, TimeoutError) as error:
                if not told:
                    what = str(error) or f"no answer in {VERIFY_S:g} s"
                    self._say(f"nothing is acknowledged until the metadata store can be asked again: {what}")
                told = True
            except Exception as error:
                self._fail(WalError(f"the fence of {self._ring.path} failed: {error!r}"))
                return False
            await self._clock.sleep(RETRY_S)
