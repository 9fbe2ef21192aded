"""Time, handed in. The only module of the broker that asks the machine what time it is, or sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from: the machine, or a test's hand."""

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, UTC: for records and retention, never for safety (law 11)."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""

    async def sleep(self, seconds: float) -> None:
        """Waits, leaving the loop to others."""


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
