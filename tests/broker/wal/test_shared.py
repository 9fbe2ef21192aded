"""The WAL that other hosts can reach: acknowledged only after its epoch was seen alive, one ring per life."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.metadata.database import MetadataUnavailable
from broker.wal.base import Entry, WalError
from broker.wal.holder import LifetimeLock
from broker.wal.shared import Place, SharedWal
from tests.broker.wal.test_disk import SMALL, entry, until


class Registry:
    """Who is alive, as the metadata store would say, which can be away, or slow."""

    def __init__(self) -> None:
        self.alive = {(0, 1)}
        self.away = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.asked = 0

    async def verify(self, broker: int, epoch: int) -> None:
        self.asked += 1
        if self.away:
            raise MetadataUnavailable("the metadata store is away")
        lives = (broker, epoch) in self.alive
        await self.slow.wait()
        if not lives:
            raise WalError(f"broker {broker} with epoch {epoch} was declared dead, or its id runs elsewhere")


def life(directory: Path, epoch: int, registry: Registry, said: list[str], *, locked: bool = False) -> SharedWal:
    place = Place(directory=directory, broker=0)
    lock = place.prepare() if locked else None
    place.directory.mkdir(exist_ok=True)
    place.lock.touch()
    ring = SharedWal.make_ring(place, SMALL, os.urandom)
    wal = SharedWal(place, lock, ring, duties=registry, clock=SystemClock(), say=said.append)  # type: ignore[arg-type]
    wal.start(epoch)
    return wal


@pytest.fixture
async def registry() -> Registry:
    return Registry()


@pytest.fixture
async def wal(tmp_path: Path, registry: Registry) -> AsyncIterator[SharedWal]:
    said: list[str] = []
    wal = life(tmp_path, 1, registry, said)
    wal.said = said  # type: ignore[attr-defined]
    yield wal
    await wal.close()


def offsets(entries: list[Entry]) -> list[int]:
    return [one.base_offset for one in entries]


async def test_acknowledges_in_order_once_its_epoch_was_seen_alive(wal: SharedWal) -> None:
    done: list[int] = []
    for number in range(50):
        wal.append(entry(number), lambda n=number: done.append(n))
    await until(lambda: len(done) == 50)
    assert done == list(range(50))


async def test_acknowledges_nothing_once_its_epoch_is_over_and_tells_the_broker_to_exit(
    wal: SharedWal, registry: Registry
) -> None:
    done: list[int] = []
    wal.append(entry(0), lambda: done.append(0))
    await until(lambda: done == [0])
    registry.alive.clear()
    wal.append(entry(1), lambda: done.append(1))
    error = await asyncio.wait_for(asyncio.shield(wal.failed), 30)
    assert "declared dead" in str(error)
    registry.alive.add((0, 1))
    await asyncio.sleep(0.05)
    assert done == [0]


async def test_writes_on_while_earlier_groups_are_verified_and_one_read_serves_many(
    wal: SharedWal, registry: Registry
) -> None:
    done: list[int] = []
    registry.slow.clear()
    wal.append(entry(0), lambda: done.append(0))
    await until(lambda: registry.asked == 1)
    for number in range(1, 20):
        wal.append(entry(number), lambda n=number: done.append(n))
        await until(lambda n=number: len(wal._unverified) == n)
    assert done == []
    registry.slow.set()
    await until(lambda: done == list(range(20)))
    assert registry.asked == 2


async def test_waits_for_a_metadata_store_that_is_away_and_says_so_once(wal: SharedWal, registry: Registry) -> None:
    done: list[int] = []
    registry.away = True
    wal.append(entry(0), lambda: done.append(0))
    await until(lambda: registry.asked >= 3)
    assert done == []
    assert not wal.failed.done()
    assert wal.said == [  # type: ignore[attr-defined]
        "nothing is acknowledged until the metadata store can be asked again: the metadata store is away"
    ]
    registry.away = False
    await until(lambda: done == [0])


async def test_a_recoverer_reads_all_that_was_acknowledged_while_the_zombie_writes_on(
    wal: SharedWal, registry: Registry, tmp_path: Path
) -> None:
    done: list[int] = []
    number = 0

    def append() -> None:
        nonlocal number
        wal.append(entry(number), lambda n=number: done.append(n))
        number += 1

    for _ in range(20):
        append()
        await asyncio.sleep(0.002)
    registry.slow.clear()
    registry.alive.clear()
    append()
    found = offsets(Place(directory=tmp_path, broker=0).read([1]))
    acknowledged = list(done)
    registry.slow.set()
    await until(wal.failed.done)
    assert done == acknowledged
    assert found[: len(done)] == done


async def test_a_later_life_never_shares_a_ring_with_a_zombie(
    wal: SharedWal, registry: Registry, tmp_path: Path
) -> None:
    done: list[str] = []
    wal.append(entry(0), lambda: done.append("old"))
    await until(lambda: done == ["old"])
    registry.alive = {(0, 2)}
    new = life(tmp_path, 2, registry, [])
    new.append(entry(1), lambda: done.append("new"))
    wal.append(entry(9), lambda: done.append("zombie"))
    await until(lambda: done == ["old", "new"])
    await until(wal.failed.done)
    place = Place(directory=tmp_path, broker=0)
    assert offsets(place.read([2])) == [1]
    assert offsets(list(await new.read_back([1])))[0] == 0
    await new.forget_recovered()
    assert sorted(place.rings()) == [2]
    await new.close()
    assert done == ["old", "new"]


def test_a_directory_that_is_not_the_right_one_is_an_error_and_not_an_empty_wal(tmp_path: Path) -> None:
    with pytest.raises(WalError, match="lock-0 is missing"):
        Place(directory=tmp_path, broker=0).read([1])


def test_a_life_that_never_wrote_has_nothing_to_give(tmp_path: Path) -> None:
    place = Place(directory=tmp_path, broker=0)
    lock = place.prepare()
    assert isinstance(lock, LifetimeLock)
    assert place.read([1]) == []
    lock.release()


async def test_a_start_that_came_to_nothing_leaves_no_ring_behind(tmp_path: Path, registry: Registry) -> None:
    place = Place(directory=tmp_path, broker=0)
    lock = place.prepare()
    crashed = SharedWal.make_ring(place, SMALL, os.urandom)
    crashed.close()
    refused = SharedWal(
        place,
        lock,
        SharedWal.make_ring(place, SMALL, os.urandom),
        duties=registry,  # type: ignore[arg-type]
        clock=SystemClock(),
        say=[].append,
    )
    refused.abandon()
    assert place.unnamed() == [crashed.path]
    wal = life(tmp_path, 1, registry, [])
    await wal.forget_recovered()
    await wal.close()
    assert place.unnamed() == []
    assert sorted(place.rings()) == [1]
