"""kill -9 of a store that is written to, again and again: every committed round is there, and every round is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from agent.model.clock import SystemClock
from agent.store.samples import SampleStore
from tests.faults.agent.verdict import Verdict
from tests.faults.agent.writer import EPOCH, START, torn

READY_S = 2.0


def killed(directory: Path, times: int, seed: int = 1, *, bar_s: float = READY_S) -> Verdict:
    rng, promised, ready, opened = random.Random(seed), set[int](), list[float](), list[float]()
    for _ in range(times):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.agent.writer", str(directory)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        since_start, since_open = map(float, writer.stdout.readline().split())
        ready.append(since_start)
        opened.append(since_open)
        for _ in range(rng.randrange(1, 40)):
            promised.add(int(writer.stdout.readline()))
        os.kill(writer.pid, signal.SIGKILL)
        promised.update(int(line) for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n"))
        writer.stdout.close()
        writer.wait()
    store = SampleStore(directory, clock=SystemClock())
    end = EPOCH + timedelta(microseconds=max(promised)) + timedelta(hours=1)
    found, broken = torn(store, START, end)
    store.close()
    quarantined = list(directory.glob("*corrupt*"))
    ready.sort()
    lost = promised - found
    return Verdict(
        name="kill",
        ok=not lost and not broken and not quarantined and ready[len(ready) // 2] <= bar_s,
        figure=f"{times} kills: {len(promised)} committed rounds, {len(lost)} lost, {len(broken)} torn, "
        f"{len(found - promised)} whole ones more; process start to first round {ready[len(ready) // 2]:.2f} s in the "
        f"median, {ready[-1]:.2f} s at most (bar {bar_s:g} s), of which the store took {max(opened):.2f} s at most",
    )
