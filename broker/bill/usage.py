"""What was used in which hour: cumulative counters in, differences per UTC hour out."""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The broker's counters at one moment. All but `stored_bytes` only grow."""

    tier1_requests: float
    tier2_requests: float
    cross_zone_bytes: float
    """Moved between this broker and clients of another zone, both directions."""
    stored_bytes: float
    """Bytes in the store, dead ones too until swept, if this broker is the controller, else 0: one bills for all."""


@dataclass(kw_only=True)
class HourUsage:
    """What one hour adds up to."""

    start_ms: int
    up_s: float = 0.0
    tier1_requests: float = 0.0
    tier2_requests: float = 0.0
    cross_zone_bytes: float = 0.0
    stored_byte_hours: float = 0.0


class Ledger:
    """The open hour, and the closed ones that are not written yet.

    1. Every second of the broker's life falls into exactly one hour: a stretch over a boundary is split there.
    2. Counters of such a stretch go to its hours by time; it is at most one reading interval long.
    3. A wall clock that steps back adds no time (law 11).
    """

    def __init__(self, now_ms: int, reading: Reading) -> None:
        self._at_ms = now_ms
        self._last = reading
        self._hours: dict[int, HourUsage] = {}
        self._hour(now_ms)

    def read(self, now_ms: int, reading: Reading) -> None:
        """Adds what was used since the last reading."""
        whole_ms = now_ms - self._at_ms
        start_ms = self._at_ms
        while start_ms < now_ms:
            end_ms = min(now_ms, (start_ms // HOUR_MS + 1) * HOUR_MS)
            self._add(self._hour(start_ms), reading, (end_ms - start_ms) / 1000, (end_ms - start_ms) / whole_ms)
            start_ms = end_ms
        if whole_ms > 0:
            self._last = reading
        self._at_ms = now_ms
        self._hour(now_ms)

    def hours(self) -> list[HourUsage]:
        """Every hour not yet closed for good, oldest first."""
        return [self._hours[start_ms] for start_ms in sorted(self._hours)]

    def forget_closed(self) -> None:
        """The hours before the open one are on disk."""
        open_ms = self._at_ms // HOUR_MS * HOUR_MS
        self._hours = {start_ms: hour for start_ms, hour in self._hours.items() if start_ms >= open_ms}

    def _hour(self, at_ms: int) -> HourUsage:
        start_ms = at_ms // HOUR_MS * HOUR_MS
        return self._hours.setdefault(start_ms, HourUsage(start_ms=start_ms))

    def _add(self, hour: HourUsage, reading: Reading, seconds: float, share: float) -> None:
        hour.up_s += seconds
        hour.tier1_requests += (reading.tier1_requests - self._last.tier1_requests) * share
        hour.tier2_requests += (reading.tier2_requests - self._last.tier2_requests) * share
        hour.cross_zone_bytes += (reading.cross_zone_bytes - self._last.cross_zone_bytes) * share
        hour.stored_byte_hours += (reading.stored_bytes + self._last.stored_bytes) / 2 * seconds / 3600
