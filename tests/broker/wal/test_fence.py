"""The fence of a shared WAL against a zombie (law 4), and ways to build it that lose records: each must be caught."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.wal.base import Entry, WalError
from broker.wal.shared import Place, SharedWal
from tests.broker.wal.test_disk import SMALL, entry, until
from tests.broker.wal.test_shared import Registry


class Unverified(SharedWal):
    """A lease only: it trusts that it would have heard."""

    async def _verified(self) -> bool:
        return True


class VerifiedBefore(SharedWal):
    """Check, then write: the read begins before the sync has returned."""

    def append(self, entry: Entry, durable: Callable[[], None]) -> None:
        self._answer = asyncio.ensure_future(super()._verified())
        super().append(entry, durable)

    async def _verified(self) -> bool:
        return await self._answer


class SameRing(SharedWal):
    """One file for all lives of a broker, as a local disk has it."""

    def _begin(self) -> None:
        path = self._place.ring(1)
        if path.exists():
            self._ring.close()
            self._ring = type(self._ring).existing(path)
            self._ring.recover()
        self._ring.path = self._ring.path.rename(path)
        super(SharedWal, self)._begin()


async def life(kind: type[SharedWal], place: Place, epoch: int, registry: Any) -> SharedWal:
    place.lock.touch()
    ring = SharedWal.make_ring(place, SMALL, os.urandom)
    wal = kind(place, None, ring, duties=registry, clock=SystemClock(), say=lambda text: None)
    wal.start(epoch)
    return wal


async def lost_by_a_failover(
    kind: type[SharedWal], directory: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Offsets that were acknowledged and that the recoverer did not find: it reads while the zombie's sync hangs."""
    place = Place(directory=directory, broker=0)
    wal, acked = await life(kind, place, 1, registry), list[int]()
    wal.append(entry(0), lambda: acked.append(0))
    await until(lambda: acked == [0])
    held, write = threading.Event(), os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda *given: (held.wait(60), write(*given))[1])
    wal.append(entry(1), lambda: acked.append(1))
    await asyncio.sleep(0.05)
    registry.alive = {(0, 2)}
    found = [one.base_offset for one in place.read([1])]
    held.set()
    await until(lambda: wal.failed.done() or len(acked) == 2)
    await wal.close()
    return [offset for offset in acked if offset not in found]


async def lost_by_a_successor(kind: type[SharedWal], directory: Path, registry: Registry) -> list[int]:
    """Offsets that the next life acknowledged and that are not in its WAL, after the zombie wrote on."""
    place = Place(directory=directory, broker=0)
    zombie, acked = await life(kind, place, 1, registry), list[int]()
    zombie.append(entry(0), lambda: acked.append(0))
    await until(lambda: acked == [0])
    registry.alive = {(0, 2)}
    new = await life(kind, place, 2, registry)
    for number in range(10, 15):
        new.append(entry(number), lambda n=number: acked.append(n))
        await until(lambda n=number: acked[-1] == n)
    registry.slow.clear()
    for number in range(5):
        zombie.append(entry(90 + number), lambda: acked.append(90))
        await asyncio.sleep(0.02)
    await new.close()
    registry.slow.set()
    await zombie.close()
    try:
        found = [one.base_offset for one in place.read([1, 2])]
    except WalError:
        found = []
    return [offset for offset in acked if offset not in found]


async def test_a_failover_loses_nothing_that_a_zombie_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await lost_by_a_failover(SharedWal, tmp_path, Registry(), monkeypatch) == []


@pytest.mark.parametrize("kind", [Unverified, VerifiedBefore])
async def test_a_fence_that_does_not_ask_after_the_sync_is_caught(
    kind: type[SharedWal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await lost_by_a_failover(kind, tmp_path, Registry(), monkeypatch) == [1]


async def test_a_successor_loses_nothing_to_a_zombie_that_writes_on(tmp_path: Path) -> None:
    assert await lost_by_a_successor(SharedWal, tmp_path, Registry()) == []


async def test_lives_that_share_a_ring_are_caught(tmp_path: Path) -> None:
    assert await lost_by_a_successor(SameRing, tmp_path, Registry()) != []
