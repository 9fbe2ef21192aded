"""The longest step of the event loop: one core, never blocked for over 20 ms (law 14).

The watch asks to be woken every 20 ms. What it is late by is its lag: all that clients feel. A part of that may be the
machine's: on a busy one the thread waits for a core although it could run. The kernel counts that wait, and the step is
the lag without it: what this process itself did to its loop, be it Python code, a blocking call, or a thread that held
the interpreter. Where the kernel does not tell (it is Linux that does), step and lag are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from broker.clock import Clock

_EVERY_S = 0.02
_WINDOW_S = 60.0
_SCHEDSTAT = Path("/proc/thread-self/schedstat")

Waited = Callable[[], float]
"""Seconds, ever growing, in which the calling thread could run and got no core."""


def waited_for_core() -> Waited:
    """The kernel's count for the thread that calls this now; always 0 where there is none."""
    with suppress(OSError, ValueError, IndexError):
        file = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)

        def waited() -> float:
            return int(os.pread(file, 96, 0).split()[1]) / 1e9

        waited()
        return waited
    return lambda: 0.0


class Longest:
    """The largest of some figures over the last one to two minutes, so that several scrapers see the same one."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._current = 0.0
        self._before = 0.0

    def add(self, value: float, now: float) -> None:
        """Counts one."""
        if now - self._began >= _WINDOW_S:
            self._before, self._current, self._began = self._current, 0.0, now
        self._current = max(self._current, value)

    def value(self) -> float:
        return max(self._current, self._before)


class LoopWatch:
    """Runs on the loop it watches."""

    def __init__(self, clock: Clock, waited: Callable[[], Waited] = waited_for_core) -> None:
        self._clock = clock
        self._waited = waited
        self._lag = Longest(clock.monotonic())
        self._step = Longest(clock.monotonic())

    async def run(self) -> None:
        """Until cancelled."""
        waited = self._waited()
        before, waited_before = self._clock.monotonic(), waited()
        while True:
            await self._clock.sleep(_EVERY_S)
            now, waited_now = self._clock.monotonic(), waited()
            lag = now - before - _EVERY_S
            self._lag.add(lag, now)
            self._step.add(lag - (waited_now - waited_before), now)
            before, waited_before = now, waited_now

    def longest_s(self) -> float:
        """The longest step of this process's own making."""
        return self._step.value()

    def longest_lag_s(self) -> float:
        """The longest lag, whoever caused it."""
        return self._lag.value()
