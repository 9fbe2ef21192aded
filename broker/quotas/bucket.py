"""A rate that is kept over time: what was used drains at the rate, and what does not fit has to wait."""

from __future__ import annotations

LONGEST_PAUSE_S = 10.0
"""At once; what is still owed then is waited for after the next request."""


class Bucket:
    """What one client, user or address used of one quota.

    It may use `burst_s` seconds' worth at once. One use may be larger than that: it is let through, and owed.
    """

    __slots__ = ("_at", "_used")

    def __init__(self, now: float) -> None:
        self._used = 0.0
        self._at = now

    def use(self, amount: float, rate: float, burst_s: float, now: float) -> float:
        """Counts it; the seconds to wait before more."""
        self._used = max(self._used - rate * (now - self._at), 0.0) + amount
        self._at = now
        return self.owed_s(rate, burst_s, now)

    def owed_s(self, rate: float, burst_s: float, now: float) -> float:
        """How long until more may be used."""
        over = self._used - rate * (now - self._at) - rate * burst_s
        return min(max(over / rate, 0.0), LONGEST_PAUSE_S)

    def is_idle(self, rate: float, now: float) -> bool:
        """Whether it is as good as new."""
        return self._used <= rate * (now - self._at)
