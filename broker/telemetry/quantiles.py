"""Medians and 99th percentiles of durations, in constant memory: logarithmic buckets, over one to two minutes."""

from __future__ import annotations

from math import log

_SMALLEST_S = 1e-5
_GROWTH = 1.15
_BUCKETS = 120
"""1e-5 s times 1.15^119 is over 160 s; the error of an answer is at most 15 %."""
_WINDOW_S = 60.0
_PER_BUCKET = 1 / log(_GROWTH)


class Durations:
    """Durations of one kind of request."""

    def __init__(self, now: float) -> None:
        self._current = [0] * _BUCKETS
        self._previous = [0] * _BUCKETS
        self._began = now

    def observe(self, seconds: float, now: float) -> None:
        """Counts one duration; `now` in monotonic seconds."""
        self._turn(now)
        place = int(log(seconds / _SMALLEST_S) * _PER_BUCKET) + 1 if seconds > _SMALLEST_S else 0
        self._current[min(place, _BUCKETS - 1)] += 1

    def quantile(self, share: float, now: float) -> float | None:
        """The duration, in seconds, that `share` of the recent ones did not exceed; None when there were none."""
        self._turn(now)
        counts = [a + b for a, b in zip(self._current, self._previous, strict=True)]
        wanted = share * sum(counts)
        if not wanted:
            return None
        seen = 0
        for place, count in enumerate(counts):
            seen += count
            if seen >= wanted:
                return _SMALLEST_S * _GROWTH**place
        return None

    def _turn(self, now: float) -> None:
        if now - self._began < _WINDOW_S:
            return
        stale = now - self._began >= 2 * _WINDOW_S
        self._previous = [0] * _BUCKETS if stale else self._current
        self._current = [0] * _BUCKETS
        self._began = now
