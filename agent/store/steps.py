"""A wall clock that steps: seen by comparing it with the one that does not."""

from __future__ import annotations

from datetime import datetime, timedelta

STEP = timedelta(minutes=1)
"""A wall clock that moves this much more or less than the other one has stepped."""


class Steps:
    """Watches one pair of clocks."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    def seen(self, at: datetime, monotonic: float) -> timedelta | None:
        """By how much the wall clock stepped since the last call; None where it did not."""
        before, self._last = self._last, (at, monotonic)
        if before is None:
            return None
        stepped = (at - before[0]) - timedelta(seconds=monotonic - before[1])
        return stepped if abs(stepped) > STEP else None
