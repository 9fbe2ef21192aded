"""The local-disk WAL: a ring file and a lifetime lock. The fence is the lock (holder.py): a recoverer that obtains it
knows that this writer is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from broker.ids import Entropy
from broker.wal.base import PENDING_BYTES, Entry, Recovered, WalError
from broker.wal.holder import LifetimeLock
from broker.wal.ring import Ring
from broker.wal.writer import RingWal

RING_FILE, LOCK_FILE = "ring", "lock"


class DiskWal(RingWal):
    """Opened in two steps: `take` fences and reads, `start` begins to write under a new broker epoch."""

    def __init__(self, lock: LifetimeLock, ring: Ring, recovered: Recovered, limit_bytes: int) -> None:
        super().__init__(ring, recovered, limit_bytes)
        self._lock = lock

    @classmethod
    def take(cls, directory: Path, capacity: int, entropy: Entropy, limit_bytes: int = PENDING_BYTES) -> DiskWal:
        """Locks the directory and reads what is in it. Blocking. HeldByAnother or WalError."""
        lock = None
        try:
            lock = LifetimeLock.take(directory / LOCK_FILE)
            ring = Ring.open(directory / RING_FILE, capacity, entropy(16))
            return cls(lock, ring, ring.recover(), limit_bytes)
        except OSError as error:
            if lock is not None:
                lock.release()
            raise WalError(f"{directory}: {error.strerror or error}; check the directory and the disk") from error
        except WalError:
            if lock is not None:
                lock.release()
            raise

    async def read_back(self, epochs: Sequence[int]) -> Sequence[Entry]:
        """Everything in the ring: `take` has read it, and the lock is the fence of all earlier epochs."""
        return self.recovered.entries

    async def forget_recovered(self) -> None:
        """What was read at opening is in objects now, or void: its space may be used again."""
        await self.trim(self._acked_mark)
        self.recovered = Recovered(entries=(), note="")

    async def let_go(self) -> None:
        """`abandon`, for a recoverer that is done."""
        self.abandon()

    def abandon(self) -> None:
        """Lets go of file and lock without writing anything."""
        super().abandon()
        self._lock.release()
