"""Two thousand partitions, and no step of the event loop over 20 ms (law 14).

Steps are measured in CPU time of the loop's thread, which a busy machine leaves as it is; what threads make the loop
wait is the bars' to measure (tests/bars/scale.py).
"""

from __future__ import annotations

import asyncio
import time
from asyncio import events
from collections.abc import Iterator
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.rubbish import Rubbish
from broker.turns import EVERY, Turns

STEP_S = 0.02
MANY = 2000
ROOMY = {"wal_bytes": 64 << 20, "pending_limit_bytes": 64 << 20, "upload_interval_s": 60.0}


class Steps:
    """The longest callback of the loop so far, in CPU time, and what it was."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.what = ""

    def add(self, seconds: float, handle: asyncio.Handle) -> None:
        if seconds > self.longest_s:
            self.longest_s, self.what = seconds, f"{1000 * seconds:.1f} ms of CPU in {handle!r}"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steps]:
    found, run = Steps(), events.Handle._run

    def timed(self: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(self)
        found.add(time.thread_time() - begun, self)

    monkeypatch.setattr(events.Handle, "_run", timed)
    rubbish = Rubbish()
    rubbish.begin()
    yield found
    rubbish.end()


async def append_to_all(logs: Any, batch: bytes) -> None:
    turns = Turns(SystemClock())
    appends = []
    for number, log in enumerate(logs, 1):
        appends.append(log.append(batch, acks=-1))
        if number % EVERY == 0:
            await turns.rest()
    await asyncio.wait(appends)


async def open_all(logs: Any) -> None:
    for _ in range(3000):
        if len(logs) >= MANY:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(logs)} of {MANY} partitions are open")


@pytest.mark.timeout(120)
async def test_opening_appending_uploading_and_leaving_take_turns(cluster: Any, make_batch: Any, steps: Steps) -> None:
    logs = await cluster.start(0, **ROOMY)
    await cluster.metadata().create_topic("t", partitions=MANY)
    await open_all(logs)
    await append_to_all(logs, make_batch(1))
    await logs._uploader.upload(list(logs))
    await append_to_all(logs, make_batch(1))
    await cluster.stop(0)
    assert steps.longest_s < STEP_S, steps.what


@pytest.mark.timeout(120)
async def test_a_failover_takes_turns(cluster: Any, make_batch: Any, steps: Steps) -> None:
    dead = await cluster.start(0, **ROOMY)
    await cluster.metadata().create_topic("t", partitions=MANY)
    await open_all(dead)
    await append_to_all(dead, make_batch(1))
    logs = await cluster.start(1)
    await cluster.crash(0)
    await open_all(logs)
    assert {log.log_end for log in logs} == {1}
    assert steps.longest_s < STEP_S, steps.what
