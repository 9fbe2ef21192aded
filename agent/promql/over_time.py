"""The `*_over_time` functions and the regressions: one pass over the k-th sample of all ranges at once.

Sums are compensated (Neumaier) in the order of the samples, and variances are Welford's, as Prometheus has them: equal
arithmetic gives equal results, however the values cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from agent.promql.values import Bools, Floats, Ints, Windows

Result = tuple[Floats, Bools]
Check = Callable[[], None]


class Passes:
    """All ranges of a range vector as one list, the longest first, so that those with a k-th sample are a prefix."""

    def __init__(self, windows: Windows, check: Check) -> None:
        counts = windows.counts.ravel()
        self._order = np.argsort(-counts, kind="stable")
        self._first = windows.first.ravel()[self._order]
        self._counts = counts[self._order]
        self._shape = windows.counts.shape
        self._windows = windows
        self._check = check

    @property
    def ranges(self) -> int:
        return len(self._counts)

    def each(self) -> Iterator[tuple[int, int, NDArray[np.intp]]]:
        """k, how many ranges have a k-th sample, and where it is for each of those."""
        most = int(self._counts[0]) if len(self._counts) else 0
        descending = -self._counts
        for k in range(most):
            if k % 64 == 0:
                self._check()
            some = int(np.searchsorted(descending, -k, side="left"))
            yield k, some, self._first[:some] + k

    def spread(self, result: Floats) -> Result:
        """Results in list order back in (series, step) order."""
        values = np.zeros(len(result))
        values[self._order] = result
        return values.reshape(self._shape), self._windows.counts > 0

    def column(self, per_step: Ints) -> Ints:
        """A value a step, in list order."""
        return np.broadcast_to(per_step, self._shape).ravel()[self._order]


class _Sum:
    """A compensated sum for each of many ranges."""

    def __init__(self, size: int) -> None:
        self.sum = np.zeros(size)
        self.lost = np.zeros(size)

    def add(self, some: int, value: Floats) -> None:
        old = self.sum[:some]
        new = old + value
        self.lost[:some] += np.where(np.abs(old) >= np.abs(value), (old - new) + value, (value - new) + old)
        self.sum[:some] = new

    @property
    def total(self) -> Floats:
        return np.where(np.isinf(self.sum), self.sum, self.sum + self.lost)


def sum_over_time(windows: Windows, check: Check) -> Result:
    passes = Passes(windows, check)
    total = _Sum(passes.ranges)
    for _, some, at in passes.each():
        total.add(some, windows.values[at])
    return passes.spread(total.total)


def avg_over_time(windows: Windows, check: Check) -> Result:
    values, present = sum_over_time(windows, check)
    return values / np.maximum(windows.counts, 1), present


def min_over_time(windows: Windows, check: Check) -> Result:
    return _fold(windows, check, np.fmin)


def max_over_time(windows: Windows, check: Check) -> Result:
    return _fold(windows, check, np.fmax)


def _fold(windows: Windows, check: Check, better: np.ufunc) -> Result:
    passes = Passes(windows, check)
    best = np.zeros(passes.ranges)
    for k, some, at in passes.each():
        best[:some] = windows.values[at] if k == 0 else better(best[:some], windows.values[at])
    return passes.spread(best)


def count_over_time(windows: Windows, check: Check) -> Result:
    return windows.counts.astype(np.float64), windows.counts > 0


def present_over_time(windows: Windows, check: Check) -> Result:
    present = windows.counts > 0
    return present.astype(np.float64), present


def last_over_time(windows: Windows, check: Check) -> Result:
    present = windows.counts > 0
    return windows.values[np.where(present, windows.past - 1, 0)] if present.any() else np.zeros(present.shape), present


def stdvar_over_time(windows: Windows, check: Check) -> Result:
    """The population variance."""
    passes = Passes(windows, check)
    mean, squares = _Sum(passes.ranges), _Sum(passes.ranges)
    count = np.zeros(passes.ranges)
    for k, some, at in passes.each():
        value = windows.values[at]
        count[:some] = k + 1
        off = value - (mean.sum[:some] + mean.lost[:some])
        mean.add(some, off / (k + 1))
        squares.add(some, off * (value - (mean.sum[:some] + mean.lost[:some])))
    return passes.spread((squares.sum + squares.lost) / np.maximum(count, 1))


def stddev_over_time(windows: Windows, check: Check) -> Result:
    values, present = stdvar_over_time(windows, check)
    return np.sqrt(values), present


def quantile_over_time(windows: Windows, check: Check, quantile: Floats) -> Result:
    """The quantile of each range's samples, by interpolation; one number a step."""
    values = np.zeros(windows.counts.shape)
    for series, step in zip(*np.nonzero(windows.counts > 0), strict=True):
        if step == 0:
            check()
        samples = windows.values[windows.first[series, step] : windows.past[series, step]]
        values[series, step] = quantile_of(float(quantile[step]), samples)
    return values, windows.counts > 0


def quantile_of(quantile: float, samples: Floats) -> float:
    """Prometheus's quantile of some samples; NaN sorts below everything."""
    if not len(samples) or np.isnan(quantile):
        return np.nan
    if quantile < 0:
        return -np.inf
    if quantile > 1:
        return np.inf
    missing = np.isnan(samples)
    ordered = np.concatenate([samples[missing], np.sort(samples[~missing])])
    rank = quantile * (len(ordered) - 1)
    low = max(0, int(np.floor(rank)))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - np.floor(rank)
    return float(ordered[low] * (1 - weight) + ordered[high] * weight)


def deriv(windows: Windows, check: Check) -> Result:
    """The slope per second, by least squares."""
    origin = windows.times[np.where(windows.counts > 0, windows.first, 0)] if len(windows.times) else windows.first
    slope, _, present = _regression(windows, check, origin.astype(np.int64))
    return slope, present


def predict_linear(windows: Windows, check: Check, ahead_s: Floats, now_ms: Ints) -> Result:
    """What the line through the samples says about `ahead_s` after the step."""
    slope, intercept, present = _regression(windows, check, np.broadcast_to(now_ms, windows.counts.shape))
    return slope * ahead_s[None, :] + intercept, present


def _regression(windows: Windows, check: Check, origin_ms: Ints) -> tuple[Floats, Floats, Bools]:
    passes = Passes(windows, check)
    origin = passes.column(origin_ms)
    size = passes.ranges
    x_sum, y_sum, xy_sum, xx_sum = _Sum(size), _Sum(size), _Sum(size), _Sum(size)
    count, first = np.zeros(size), np.zeros(size)
    level = np.ones(size, dtype=np.bool_)
    for k, some, at in passes.each():
        x, y = (windows.times[at] - origin[:some]) / 1000, windows.values[at]
        count[:some] = k + 1
        if k == 0:
            first[:some] = y
        else:
            level[:some] &= y == first[:some]
        x_sum.add(some, x)
        y_sum.add(some, y)
        xy_sum.add(some, x * y)
        xx_sum.add(some, x * x)
    n = np.maximum(count, 1)
    sums = [each.sum + each.lost for each in (x_sum, y_sum, xy_sum, xx_sum)]
    covariance = sums[2] - sums[0] * sums[1] / n
    variance = sums[3] - sums[0] * sums[0] / n
    slope = covariance / variance
    intercept = sums[1] / n - slope * sums[0] / n
    flat = np.where(np.isinf(first), np.nan, 0.0)
    slope = np.where(level, flat, slope)
    intercept = np.where(level, np.where(np.isinf(first), np.nan, first), intercept)
    return passes.spread(slope)[0], passes.spread(intercept)[0], windows.counts >= 2
