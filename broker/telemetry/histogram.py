"""A histogram as Prometheus has it: cumulative buckets, a sum and a count."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from broker.telemetry.exposition import Labels, Page

LATENCY_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZE_BYTES = tuple(float(4**power * 1024) for power in range(10))
"""1 KiB to 256 MiB."""


class Histogram:
    """Counts of values at or under each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Counts one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def write(self, page: Page, name: str, labels: Labels) -> None:
        """Its series, under a family that has begun."""
        seen = 0
        for bound, count in zip((*self._bounds, None), self._counts, strict=True):
            seen += count
            limit = "+Inf" if bound is None else f"{bound:.15g}"
            page.sample(f"{name}_bucket", (*labels, ("le", limit)), seen)
        page.sample(f"{name}_sum", labels, self._sum)
        page.sample(f"{name}_count", labels, seen)
