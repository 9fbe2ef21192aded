"""The 99th percentile of latency histograms, from the increases of their buckets over a window."""

from __future__ import annotations

import math
from collections import defaultdict

from agent.collect.window import Window
from agent.store.batch import Columns, objects, texts

QUANTILE = 0.99


def p99s(window: Window) -> Columns:
    """Per broker and operation, over all outcomes; only where something happened in the window."""
    rows = window.only(("operation_bucket",))
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(lambda: defaultdict(float))
    columns = (rows[name].tolist() for name in ("broker", "operation", "le", "increase"))
    for broker, operation, bound, increase in zip(*columns, strict=True):
        if broker is not None and bound is not None:
            buckets[broker, operation][float(bound)] += increase
    found = {key: quantile(bounds) for key, bounds in buckets.items()}
    known = {key: value for key, value in found.items() if value is not None}
    return {
        "broker": texts([broker for broker, _ in known]),
        "operation": texts([operation for _, operation in known]),
        "p99_s": objects(list(known.values())),
    }


def quantile(buckets: dict[float, float], share: float = QUANTILE) -> float | None:
    """As Prometheus does it: linear within a bucket, the highest finite bound beyond it; None without observations."""
    bounds = sorted(buckets)
    if not bounds or not math.isinf(bounds[-1]) or buckets[bounds[-1]] <= 0:
        return None
    rank = share * buckets[bounds[-1]]
    below, start = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return start
            inside = buckets[bound] - below
            return bound if inside <= 0 else start + (bound - start) * (rank - below) / inside
        below, start = buckets[bound], bound
    return start
