"""Samples of a window to one row per series: reset-corrected increase, rate, last value.

Laws:
1. The window is left-open: (at - window, at].
2. A counter that falls was reset: the new value counts from zero. A counter that was born between two scrapes of a
   target that was being scraped began at zero too; one that the first scrape finds did not.
3. A rate is the increase over the time between the TARGET's first and last sample in the window, so series that end
   in it (a partition that moved away) or begin in it are averaged over all of it and sums stay true. One sample is no
   rate.
4. A last value counts only if it is of its target's newest scrape and that is not stale: a target that stopped
   answering has no current gauges, and no rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.collect.catalog import Catalog
from agent.store.batch import Columns

MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Window:
    """One row per series that has samples in the window and a meaning."""

    measure: NDArray[Any]
    broker: NDArray[Any]
    columns: Columns
    """broker, rate, increase, last, first, age_s and the dimensions."""

    def only(self, measures: tuple[str, ...]) -> Columns:
        """The rows of some measures, as a table with the column `measure`."""
        rows = np.flatnonzero(np.isin(self.measure, np.array(measures, dtype=object)))
        return {"measure": self.measure[rows], **{name: column[rows] for name, column in self.columns.items()}}


def summarise(samples: Columns, catalog: Catalog, brokers: dict[str, str], at_us: int, stale_us: int) -> Window:
    """Reduces samples (series, ts, value), in any order, to one row per series."""
    series, times, values = _sorted(samples, catalog)
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(series)][: len(starts)] - 1
    ids = series[starts]
    targets = catalog.target[ids]
    target_first, target_last = _spans(targets, times[starts], times[ends], len(catalog.targets))
    increase = _increases(values, starts)
    born = catalog.counter[ids] & (catalog.first_us[ids] == times[starts]) & (times[starts] > target_first[targets])
    increase = (increase + np.where(born, values[starts], 0.0)) * catalog.scale[ids]
    span = (target_last - target_first)[targets] / MICRO
    fresh = at_us - target_last[targets] <= stale_us
    rate = np.divide(increase, span, out=np.full(len(ids), np.nan), where=(span > 0) & fresh)
    current = fresh & (times[ends] == target_last[targets])
    names = np.array([brokers.get(target) for target in catalog.targets] or [None], dtype=object)
    columns: Columns = {
        "broker": names[targets],
        "rate": rate,
        "increase": increase,
        "last": np.where(current, values[ends] * catalog.scale[ids], np.nan),
        "first": values[starts] * catalog.scale[ids],
        "span_s": (times[ends] - times[starts]) / MICRO,
        "age_s": (at_us - times[ends]) / MICRO,
        **{name: column[ids] for name, column in catalog.dimensions.items()},
    }
    return Window(measure=catalog.measure[ids], broker=columns["broker"], columns=columns)


def _sorted(samples: Columns, catalog: Catalog) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    """Samples that have a meaning and a value, by series and time."""
    series = np.asarray(samples["series"])
    values = np.ma.filled(np.ma.asarray(samples["value"], dtype=np.float64), np.nan)
    times = np.asarray(samples["ts"]).astype("datetime64[us]").astype(np.int64)
    known = series < len(catalog.measure)
    known[known] = catalog.target[series[known]] >= 0
    keep = np.flatnonzero(known & ~np.isnan(values))
    order = keep[np.lexsort((times[keep], series[keep]))]
    return series[order], times[order], values[order]


def _spans(
    targets: NDArray[np.int32], first: NDArray[np.int64], last: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each target's first and last sample in the window."""
    earliest = np.full(count, np.iinfo(np.int64).max)
    latest = np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(earliest, targets, first)
    np.maximum.at(latest, targets, last)
    return earliest, latest


def _increases(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    if not len(values):
        return np.empty(0)
    steps = np.diff(values, prepend=values[0])
    steps = np.where(steps < 0, values, steps)
    steps[starts] = 0.0
    sums: NDArray[np.float64] = np.add.reduceat(steps, starts)
    return sums
