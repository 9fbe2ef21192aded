"""A source in memory: the generator's series as the engine reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.promql.errors import TooMuch
from agent.promql.labels import LabelTable
from agent.promql.matchers import matching_rows
from agent.promql.source import Grown, Matcher, Measure, Samples, Selection
from tests.promql.demo_service import Series


class MemorySource:
    """Holds some series whole."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._series = list(series)
        self._labels = LabelTable.of([{**each.labels, "__name__": each.name} for each in series])

    def select(self, matchers: Sequence[Matcher]) -> Selection:
        rows = matching_rows(self._labels, matchers)
        return Selection(ids=rows.astype(np.int32), labels=self._labels.take(rows))

    def seen(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> NDArray[np.bool_]:
        spans = [np.searchsorted(self._series[id].times, [since_ms, until_ms + 1]) for id in ids]
        return np.array([high > low for low, high in spans], dtype=np.bool_)

    def read(self, ids: NDArray[np.int32], since_ms: int, until_ms: int, most: int) -> Samples:
        parts = []
        for row, id in enumerate(ids):
            series = self._series[id]
            low, high = np.searchsorted(series.times, [since_ms, until_ms + 1])
            parts.append((np.full(high - low, row, dtype=np.int32), series, slice(int(low), int(high))))
        samples = Samples(
            row=np.concatenate([np.empty(0, np.int32), *(row for row, _, _ in parts)]),
            times=np.concatenate([np.empty(0, np.int64), *(each.times[part] for _, each, part in parts)]),
            values=np.concatenate([np.empty(0), *(each.values[part] for _, each, part in parts)]),
            stale=np.concatenate([np.empty(0, np.bool_), *(each.stale[part] for _, each, part in parts)]),
        )
        if len(samples.times) > most:
            raise TooMuch(f"{len(samples.times)} samples")
        return samples

    def grown(
        self, ids: NDArray[np.int32], groups: NDArray[np.int32], since_ms: int, until_ms: int, measure: Measure
    ) -> Grown | None:
        return None

    def lost(self, since_ms: int, until_ms: int, *, rolled: bool = False) -> list[str]:
        return []
