"""The bus: numbered, kept, and never blocked by a slow listener."""

import asyncio

from agent.loop.events import KEPT, QUEUED, Bus


async def test_a_listener_gets_what_happens_in_order():
    bus = Bus()
    with bus.listen() as queue:
        await asyncio.to_thread(bus.publish, "round", "2026-11-22T12:00:00Z", findings=1)
        await asyncio.to_thread(bus.publish, "plan", "2026-11-22T12:00:01Z", id="p")
        seen = [await asyncio.wait_for(queue.get(), 30) for _ in range(2)]
    assert [(event.n, event.kind) for event in seen] == [(1, "round"), (2, "plan")]


async def test_a_slow_listener_loses_the_oldest_and_sees_the_gap():
    bus = Bus()
    with bus.listen() as queue:
        for _ in range(QUEUED + 5):
            bus.publish("round", "t")
        await asyncio.sleep(0.01)
        assert queue.get_nowait().n == 6


async def test_only_the_newest_are_kept():
    bus = Bus()
    for _ in range(KEPT + 3):
        bus.publish("round", "t")
    assert [bus.kept()[0].n, bus.kept()[-1].n] == [4, KEPT + 3]
