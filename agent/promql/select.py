"""Selectors: samples read from the source and laid out for the steps of a query.

One array of keys, (series, time) packed into an integer, makes the lookup of all series at all steps one binary search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.promql.labels import LabelTable
from agent.promql.query import Budget, Edge
from agent.promql.source import Matcher, Samples, Source
from agent.promql.values import Ints, Vector, Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Reader:
    """What selectors need of a query."""

    source: Source
    budget: Budget
    edge: Edge
    lookback_ms: int

    def instant(self, matchers: Sequence[Matcher], ends: Ints) -> tuple[Vector, Ints]:
        """The newest sample at or before each end within the lookback, and when it was taken."""
        labels, samples, base, span = self._read(matchers, ends, self.lookback_ms)
        self.budget.charge(labels.rows * len(ends))
        rows = np.arange(labels.rows, dtype=np.int64)[:, None] * span
        keys = samples.row * np.int64(span) + (samples.times - base)
        found = np.searchsorted(keys, rows + (ends - base)[None, :], side="right") - 1
        held = np.maximum(found, 0)
        taken = samples.times[held]
        oldest = (ends - self.lookback_ms)[None, :]
        recent = taken > oldest if self.edge == "open" else taken >= oldest
        own = samples.row[held] == np.arange(labels.rows)[:, None]
        present = (found >= 0) & own & recent & ~samples.stale[held]
        vector = Vector(labels=labels, values=np.where(present, samples.values[held], 0.0), present=present)
        some = np.flatnonzero(present.any(axis=1))
        return vector.take(some), taken[some]

    def windows(self, matchers: Sequence[Matcher], ends: Ints, range_ms: int) -> Windows:
        """The samples of the range before each end; series without any are left out."""
        labels, samples, base, span = self._read(matchers, ends, range_ms)
        if samples.stale.any():
            fresh = ~samples.stale
            samples = Samples(
                row=samples.row[fresh],
                times=samples.times[fresh],
                values=samples.values[fresh],
                stale=samples.stale[fresh],
            )
        self.budget.charge(labels.rows * len(ends))
        rows = np.arange(labels.rows, dtype=np.int64)[:, None] * span
        keys = samples.row * np.int64(span) + (samples.times - base)
        side: Literal["left", "right"] = "right" if self.edge == "open" else "left"
        first = np.searchsorted(keys, rows + (ends - range_ms - base)[None, :], side=side)
        past = np.searchsorted(keys, rows + (ends - base)[None, :], side="right")
        return kept(
            Windows(
                labels=labels,
                times=samples.times,
                values=samples.values,
                first=first,
                past=past,
                ends=ends,
                range_ms=range_ms,
            )
        )

    def _read(self, matchers: Sequence[Matcher], ends: Ints, before_ms: int) -> tuple[LabelTable, Samples, int, int]:
        """Labels of the series that have samples, the samples, the oldest time asked for, and the keys' stride."""
        selection = self.source.select(matchers)
        since, until = int(ends.min()) - before_ms, int(ends.max())
        samples = self.source.read(selection.ids, since, until, self.budget.left)
        self.budget.warnings += self.source.lost(since, until)
        self.budget.charge(len(samples.times))
        seen = np.zeros(len(selection.ids), dtype=np.bool_)
        seen[samples.row] = True
        rows = np.flatnonzero(seen)
        number = np.cumsum(seen, dtype=np.int32) - 1
        samples = Samples(
            row=number[samples.row].astype(np.int32), times=samples.times, values=samples.values, stale=samples.stale
        )
        return selection.labels.take(rows), samples, since, until - since + 1


def series_windows(vector: Vector, times: Ints, ends: Ints, range_ms: int, edge: Edge) -> Windows:
    """A subquery's range vector: the elements of `vector`, evaluated at `times`, that fall into each range."""
    rows, columns = np.nonzero(vector.present)
    count = np.zeros(vector.labels.rows + 1, dtype=np.intp)
    np.add.at(count, rows + 1, 1)
    start = np.cumsum(count)[:-1]
    before = np.concatenate(
        [np.zeros((vector.labels.rows, 1), dtype=np.intp), np.cumsum(vector.present, axis=1, dtype=np.intp)], axis=1
    )
    low = np.searchsorted(times, ends - range_ms, side="right" if edge == "open" else "left")
    high = np.searchsorted(times, ends, side="right")
    return kept(
        Windows(
            labels=vector.labels,
            times=times[columns],
            values=vector.values[rows, columns],
            first=start[:, None] + before[:, low],
            past=start[:, None] + before[:, np.maximum(high, low)],
            ends=ends,
            range_ms=range_ms,
        )
    )


def kept(windows: Windows) -> Windows:
    """Without the series whose ranges are all empty."""
    some = (windows.counts > 0).any(axis=1)
    if some.all():
        return windows
    rows: NDArray[np.intp] = np.flatnonzero(some)
    return Windows(
        labels=windows.labels.take(rows),
        times=windows.times,
        values=windows.values,
        first=windows.first[rows],
        past=windows.past[rows],
        ends=windows.ends,
        range_ms=windows.range_ms,
    )
