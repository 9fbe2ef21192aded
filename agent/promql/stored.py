"""The agent's own store as a source: what a selector found is kept as a table of labels until the store has new series.

Ten thousand series' labels take longer to lay out than their samples take to read, and a dashboard asks for the same
selectors every few seconds.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.promql.errors import TooMuch
from agent.promql.labels import LabelTable
from agent.promql.source import Grown, Matcher, Measure, Samples, Selection
from agent.store import reading
from agent.store.ledger import in_words
from agent.store.samples import SampleStore
from agent.store.seen import SeenSeries

_MOST_KEPT = 128
_FAR_MS = 4_102_444_800_000
"""The year 2100: whenever a series was first seen, it was before."""
_DENSEST_PER_S = 1.0
"""Reads that would stay within bounds even at this rate are not counted first."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    generation: int
    series: int
    selection: Selection


class StoredSource:
    """Reads one store. Thread-safe."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._reader = reading.SeriesReader(store)
        self._seen = SeenSeries(store)
        self._kept: OrderedDict[tuple[Matcher, ...], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def select(self, matchers: Sequence[Matcher]) -> Selection:
        """All series that match, whenever they had samples."""
        key = tuple(matchers)
        generation, series = self._store.generation, self._store.series_count
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and (kept.generation, kept.series) == (generation, series):
                self._kept.move_to_end(key)
                return kept.selection
        found = self._reader.series(
            [reading.Matcher(label=each.name, op=each.op, value=each.value) for each in matchers], 0, _FAR_MS
        )
        if kept is not None and kept.generation == generation and np.array_equal(kept.selection.ids, found.ids):
            selection = kept.selection
        else:
            selection = Selection(ids=found.ids, labels=LabelTable.of(found.labels))
        with self._lock:
            self._kept[key] = _Kept(generation=generation, series=series, selection=selection)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return selection

    def seen(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> NDArray[np.bool_]:
        """Which of the series had samples in [since, until]; closed hours count whole."""
        known = self._seen.during(reading.time_of(max(since_ms, 0)), reading.time_of(min(until_ms, _FAR_MS)))
        within = ids < len(known)
        return within & known[np.where(within, ids, 0)] if len(known) else within

    def read(self, ids: NDArray[np.int32], since_ms: int, until_ms: int, most: int) -> Samples:
        """Samples with since <= time <= until; TooMuch beyond `most`."""
        if not len(ids):
            return _none()
        if len(ids) * (until_ms - since_ms) / 1000 * _DENSEST_PER_S > most:
            count = self._reader.count(ids, since_ms, until_ms)
            if count > most:
                raise TooMuch(
                    f"query processing would load too many samples into memory in query execution: {count} of "
                    f"{len(ids)} series, and {most} more may be (max_samples); narrow the selectors or the range"
                )
        points = self._reader.points(ids, since_ms, until_ms)
        return Samples(
            row=_rows(ids, points.series),
            times=points.at_ms,
            values=points.values,
            stale=reading.is_stale(points.values),
        )

    def grown(
        self, ids: NDArray[np.int32], groups: NDArray[np.int32], since_ms: int, until_ms: int, measure: Measure
    ) -> Grown | None:
        """Rollups that start in [since, until], made one by group."""
        found = self._reader.grouped(ids, groups, since_ms, until_ms, measure)
        return Grown(group=found.group, start=found.start_ms, value=found.value, count=found.count)

    def lost(self, since_ms: int, until_ms: int, *, rolled: bool = False) -> list[str]:
        """Files of samples, or of rollups, that are damaged or gone and touch [since, until]; the first few by name."""
        since, until = reading.time_of(max(since_ms, 0)), reading.time_of(min(max(until_ms, 0), _FAR_MS))
        found = self._store.lost(["rollups" if rolled else "samples"], since, until)
        return [f"incomplete: {line}" for line in in_words(found)]


def _rows(ids: NDArray[np.int32], series: NDArray[np.int32]) -> NDArray[np.int32]:
    """Where each sample's series is among the ids, by a table of all numbers between the least and the greatest."""
    least = int(ids[0])
    table = np.zeros(int(ids[-1]) - least + 1, dtype=np.int32)
    table[ids - least] = np.arange(len(ids), dtype=np.int32)
    found: NDArray[np.int32] = table[series - least]
    return found


def _none() -> Samples:
    return Samples(
        row=np.empty(0, dtype=np.int32),
        times=np.empty(0, dtype=np.int64),
        values=np.empty(0),
        stale=np.empty(0, dtype=np.bool_),
    )
