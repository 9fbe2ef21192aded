"""The figure of law 14: what this process does to its own loop counts, what the machine does to it does not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from broker.clock import SystemClock
from broker.telemetry.loopwatch import Longest, LoopWatch


@contextlib.asynccontextmanager
async def watching(watch: LoopWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.03)
    try:
        yield
        await asyncio.sleep(0.05)
    finally:
        task.cancel()


class HandClock(SystemClock):
    """Takes as long as it is asked to, and no real time."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.001)
        self.now += seconds


def block(seconds: float) -> None:
    """What no coroutine should do."""
    time.sleep(seconds)


async def test_a_blocking_call_is_a_step() -> None:
    watch = LoopWatch(SystemClock())
    async with watching(watch):
        block(0.15)
    assert 0.1 <= watch.longest_s() <= watch.longest_lag_s()


async def test_python_code_that_runs_long_is_a_step() -> None:
    watch = LoopWatch(SystemClock())
    async with watching(watch):
        until = time.thread_time() + 0.15
        while time.thread_time() < until:
            pass
    assert watch.longest_s() >= 0.1


async def test_waiting_for_a_core_is_lag_and_no_step() -> None:
    """The clock and the kernel's count stand in here: 0.15 s of the delay were spent in its queue."""
    clock, queue_s = HandClock(), 0.0
    watch = LoopWatch(clock, lambda: lambda: queue_s)
    async with watching(watch):
        clock.now += 0.15
        queue_s = 0.15
    assert watch.longest_lag_s() >= 0.1
    assert watch.longest_s() < 0.1


@pytest.mark.parametrize(("later_s", "expected"), [(59.0, 5.0), (61.0, 5.0), (122.0, 1.0)])
def test_the_longest_is_remembered_for_one_to_two_minutes(later_s: float, expected: float) -> None:
    longest = Longest(0.0)
    longest.add(5.0, 0.0)
    longest.add(1.0, 61.0)
    longest.add(1.0, max(later_s, 61.0))
    assert longest.value() == expected
