"""The beat: never two rounds at once, an overrun is counted, a failure does not end it."""

import asyncio

from agent.loop.rounds import RoundStats, beat
from agent.model.clock import SystemClock


async def _beat(work, every_s, for_rounds):
    stats, stop = RoundStats(), asyncio.Event()

    async def counted():
        await work()

    async def watch():
        while stats.completed + stats.failures < for_rounds:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        stop.set()

    await asyncio.gather(beat(counted, every_s=every_s, clock=SystemClock(), stats=stats, stop=stop), watch())
    return stats


async def test_a_long_round_is_never_joined_by_a_second_one():
    running, most = 0, 0

    async def slow():
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    stats = await _beat(slow, 0.01, 3)
    assert most == 1
    assert stats.overruns >= 2


async def test_a_failed_round_is_counted_and_the_next_one_runs():
    calls = []

    async def fails_once():
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the disk is full")

    stats = await _beat(fails_once, 0.01, 3)
    assert stats.failures == 1
    assert stats.completed >= 2
    assert stats.last_error == ""
