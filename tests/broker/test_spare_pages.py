"""Freed memory goes back to the machine, also when something small that lives lies behind it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from broker.clock import SystemClock
from broker.spare_pages import find_trim, give_back

HELD_BACK = """
import os
from broker.spare_pages import find_trim

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

burst = [b"x" * 100_000 for _ in range(600)]  # 57 MiB, below what glibc maps by itself
behind = b"y" * 100_000
del burst
held = resident_mib()
find_trim()()
print(held - resident_mib())
"""


@pytest.mark.skipif(find_trim() is None, reason="the C library has no malloc_trim")
def test_pages_before_a_block_that_lives_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", HELD_BACK], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) > 40


class HurryingClock(SystemClock):
    """Time that the broker waits for is over at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_it_goes_on_until_it_is_cancelled() -> None:
    times = 0
    thrice = asyncio.Event()
    loop = asyncio.get_running_loop()

    def trim() -> None:
        nonlocal times
        times += 1
        if times == 3:
            loop.call_soon_threadsafe(thrice.set)

    giving = asyncio.create_task(give_back(HurryingClock(), trim))
    await asyncio.wait_for(thrice.wait(), timeout=30)
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving


async def test_there_is_nothing_to_do_without_the_call() -> None:
    giving = asyncio.create_task(give_back(SystemClock(), None))
    done, _ = await asyncio.wait({giving}, timeout=30)
    assert done == {giving}
