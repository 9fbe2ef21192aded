"""rate and its kin, with Prometheus's extrapolation to the edges of the range.

1. A counter's increase is the last sample less the first, plus the value before each reset.
2. The slope is carried on to the range's edge where the edge is nearer than 1.1 sample intervals, else for half an
   interval; a counter is never carried on below zero. Prometheus 3 takes the half interval before it looks at zero,
   Prometheus 2 after: the range edge's setting says which.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agent.promql.query import Edge
from agent.promql.values import Bools, Floats, Windows

Result = tuple[Floats, Bools]
_NEAR = 1.1


def rate(windows: Windows, edge: Edge) -> Result:
    """Per second."""
    return _extrapolated(windows, edge, counter=True, per_s=windows.range_ms / 1000)


def increase(windows: Windows, edge: Edge) -> Result:
    return _extrapolated(windows, edge, counter=True)


def delta(windows: Windows, edge: Edge) -> Result:
    return _extrapolated(windows, edge, counter=False)


def irate(windows: Windows) -> Result:
    """The slope between the last two samples; after a reset the last sample counts from zero."""
    last, before, present = _last_two(windows)
    values = windows.values[last] - windows.values[before]
    values = np.where(windows.values[last] < windows.values[before], windows.values[last], values)
    spent_ms = windows.times[last] - windows.times[before]
    present &= spent_ms > 0
    return values / np.where(present, spent_ms / 1000, 1.0), present


def idelta(windows: Windows) -> Result:
    """The difference of the last two samples."""
    last, before, present = _last_two(windows)
    present &= windows.times[last] > windows.times[before]
    return windows.values[last] - windows.values[before], present


def resets(windows: Windows) -> Result:
    """How often a sample was below the one before it."""
    fell = np.zeros(len(windows.values), dtype=np.bool_)
    fell[1:] = windows.values[1:] < windows.values[:-1]
    return _between(windows, fell)


def changes(windows: Windows) -> Result:
    """How often a sample differed from the one before it; NaN equals NaN."""
    now, then = windows.values[1:], windows.values[:-1]
    differs = np.zeros(len(windows.values), dtype=np.bool_)
    differs[1:] = (now != then) & ~(np.isnan(now) & np.isnan(then))
    return _between(windows, differs)


def _between(windows: Windows, marks: Bools) -> Result:
    present = windows.counts > 0
    total = np.concatenate([[0], np.cumsum(marks)])
    first = np.where(present, windows.first, 0)
    past = np.where(present, windows.past, 1)
    return np.where(present, total[past] - total[first + 1], 0).astype(np.float64), present


def _last_two(windows: Windows) -> tuple[NDArray[np.intp], NDArray[np.intp], Bools]:
    present = windows.counts >= 2
    last = np.where(present, windows.past - 1, 0)
    return last, np.where(present, last - 1, 0), present


def _extrapolated(windows: Windows, edge: Edge, *, counter: bool, per_s: float = 1.0) -> Result:
    """Multiplied in Prometheus's order: a histogram's buckets, equal there, must come out equal here."""
    present = windows.counts >= 2
    if not present.any():
        return np.zeros(present.shape), present
    first = np.where(present, windows.first, 0)
    last = np.where(present, windows.past - 1, 0)
    result = windows.values[last] - windows.values[first]
    if counter:
        _add_resets(windows, result, first, last, present)
    times = windows.times
    sampled_s = np.where(present, (times[last] - times[first]) / 1000, 1.0)
    apart_s = sampled_s / np.maximum(windows.counts - 1, 1)
    to_start_s = (times[first] - (windows.ends - windows.range_ms)[None, :]) / 1000
    to_end_s = (windows.ends[None, :] - times[last]) / 1000
    far_s = apart_s * _NEAR
    if edge == "open":
        to_start_s = np.where(to_start_s >= far_s, apart_s / 2, to_start_s)
    if counter:
        rising = (result > 0) & (windows.values[first] >= 0)
        to_zero_s = sampled_s * (windows.values[first] / np.where(rising, result, 1.0))
        to_start_s = np.where(rising & (to_zero_s < to_start_s), to_zero_s, to_start_s)
    before_s = to_start_s if edge == "open" else np.where(to_start_s < far_s, to_start_s, apart_s / 2)
    after_s = np.where(to_end_s < far_s, to_end_s, apart_s / 2)
    return result * ((sampled_s + before_s + after_s) / sampled_s / per_s), present


def _add_resets(
    windows: Windows, result: Floats, first: NDArray[np.intp], last: NDArray[np.intp], present: Bools
) -> None:
    """Adds what each range lost to resets, oldest first, as Prometheus sums it."""
    fell = np.flatnonzero(windows.values[1:] < windows.values[:-1]) + 1
    from_reset = np.searchsorted(fell, first, side="right")
    until_reset = np.searchsorted(fell, last, side="right")
    todo = present & (until_reset > from_reset)
    while todo.any():
        result[todo] += windows.values[fell[from_reset[todo]] - 1]
        from_reset[todo] += 1
        todo &= until_reset > from_reset
