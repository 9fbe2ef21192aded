"""Time, handed in. The only module of the agent that asks the machine what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from: the machine, or a test's hand."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""

    def sleep(self, seconds: float) -> None:
        """Waits, in the calling thread."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class HandClock:
    """A clock that a test winds by hand."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._ticks = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._ticks

    def sleep(self, seconds: float) -> None:
        """Returns at once, with both clocks moved on."""
        self.wind(seconds)

    def wind(self, seconds: float) -> None:
        """Moves both clocks by `seconds`."""
        self._now += timedelta(seconds=seconds)
        self._ticks += seconds

    def step(self, seconds: float) -> None:
        """Moves the wall clock alone, as somebody who sets it does."""
        self._now += timedelta(seconds=seconds)
