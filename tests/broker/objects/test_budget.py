"""Bandwidth: the tail goes first, catch-up readers next, compaction last and not never; queues have an end."""

import asyncio
import random

import obstore
import pytest

from broker.clock import SystemClock
from broker.objects import Bandwidth, ObjectStore, Priority, StoreUnavailable
from broker.objects import budget as budget_module
from broker.objects.store import ObstoreBackend


class HandWound:
    """Time moves only by sleeping, at once."""

    def __init__(self) -> None:
        self.now = 100.0

    def wall_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def granted(bandwidth: Bandwidth, asked: list[tuple[Priority, int]]) -> list[Priority]:
    """Asks for all at once; in which order they were let through."""
    order: list[Priority] = []

    async def one(priority: Priority, size: int) -> None:
        await bandwidth.take(priority, size)
        order.append(priority)

    await asyncio.gather(*(one(*each) for each in asked))
    return order


async def test_the_tail_never_waits_and_the_others_wait_for_what_it_took() -> None:
    clock = HandWound()
    bandwidth = Bandwidth(clock, 1000)
    for _ in range(3):
        await bandwidth.take(Priority.TAIL, 1_000_000)
    assert clock.now == 100.0
    await bandwidth.take(Priority.CATCH_UP, 1)
    assert clock.now == pytest.approx(101.0, abs=0.01), "its debt is bounded, so readers come back within a second"


async def test_readers_go_before_compaction_which_still_gets_its_share() -> None:
    bandwidth = Bandwidth(HandWound(), 1000)
    await bandwidth.take(Priority.TAIL, 2000)
    order = await granted(bandwidth, [(Priority.COMPACTION, 500)] * 3 + [(Priority.CATCH_UP, 500)] * 20)
    assert order[:9] == [Priority.CATCH_UP] * 9
    assert order[:20].count(Priority.COMPACTION) == 2
    assert order[-1] is Priority.COMPACTION


async def test_no_more_goes_through_than_the_limit_over_time() -> None:
    clock = HandWound()
    bandwidth = Bandwidth(clock, 1000)
    await granted(bandwidth, [(Priority.CATCH_UP, 500)] * 20)
    assert clock.now - 100.0 == pytest.approx((20 * 500 - 1000) / 1000, abs=0.6)
    assert bandwidth.bytes["catch_up"] == 10_000
    assert bandwidth.waited_s["catch_up"] > 0
    assert bandwidth.waiting == {"tail": 0, "catch_up": 0, "compaction": 0}


async def test_one_larger_than_the_bucket_gets_its_turn() -> None:
    bandwidth = Bandwidth(HandWound(), 1000)
    assert await granted(bandwidth, [(Priority.CATCH_UP, 50_000)] * 3) == [Priority.CATCH_UP] * 3


async def test_a_full_queue_refuses_with_a_retriable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "LONGEST_QUEUE", 2)
    bandwidth = Bandwidth(SystemClock(), 0.001)
    await bandwidth.take(Priority.TAIL, 10)
    waiting = [asyncio.ensure_future(bandwidth.take(Priority.CATCH_UP, 1)) for _ in range(2)]
    await asyncio.sleep(0)
    assert bandwidth.waiting["catch_up"] == 2
    with pytest.raises(StoreUnavailable, match="2 catch_up requests wait"):
        await bandwidth.take(Priority.CATCH_UP, 1)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_reader_that_gave_up_takes_nothing_from_the_others() -> None:
    bandwidth = Bandwidth(HandWound(), 1000)
    await bandwidth.take(Priority.TAIL, 2000)
    gone = asyncio.ensure_future(bandwidth.take(Priority.CATCH_UP, 10_000))
    await asyncio.sleep(0)
    gone.cancel()
    await granted(bandwidth, [(Priority.CATCH_UP, 10)])
    assert bandwidth.bytes["catch_up"] == 10


async def test_handles_of_one_store_share_meter_and_budget() -> None:
    store = ObjectStore("memory://", ObstoreBackend(obstore.store.MemoryStore()), SystemClock(), random.Random(1))
    await store.put("k", b"0123456789")
    await store.at(Priority.CATCH_UP).get_range("k", 0, 4)
    await store.at(Priority.COMPACTION).get("k")
    assert store.bandwidth.bytes == {"tail": 10, "catch_up": 4, "compaction": 10}
    assert store.meter.requests["get", "ok"] == 2
