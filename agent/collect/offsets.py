"""From offsets to seconds without reading a record: when did a partition's log end pass an offset?

Every round sees all log ends at one instant, so the history is a matrix, rounds by partitions. A consumer whose
committed offset is c has its oldest unread record from the moment the log end went past c; between two rounds that
moment is interpolated. Where the history starts too late the age is a lower bound: never more than was seen.

Bounded: the newest `RECENT` rounds as they are, older ones at most one per `COARSE_S`, and never more cells than
`MOST_CELLS`; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agent.collect.shapes import PartitionId

RECENT = 120
COARSE_S = 60.0
MOST_CELLS = 4_000_000
UNKNOWN = -1


class OffsetHistory:
    """Log ends of a cluster's partitions over time."""

    def __init__(self) -> None:
        self._columns: dict[PartitionId, int] = {}
        self._times: NDArray[np.float64] = np.empty(0)
        self._ends: NDArray[np.int64] = np.empty((0, 0), dtype=np.int64)

    def add(self, at: float, ends: Mapping[PartitionId, int]) -> None:
        """The log ends of one round at epoch second `at`; a round that is not newer than the last one is left out."""
        if len(self._times) and at <= self._times[-1]:
            return
        for id in ends:
            self._columns.setdefault(id, len(self._columns))
        missing = len(self._columns) - self._ends.shape[1]
        if missing:
            self._ends = np.pad(self._ends, ((0, 0), (0, missing)), constant_values=UNKNOWN)
        row = np.full(len(self._columns), UNKNOWN, dtype=np.int64)
        row[[self._columns[id] for id in ends]] = list(ends.values())
        self._ends = np.vstack([self._ends, row])
        self._times = np.append(self._times, at)
        self._thin()

    def ages(self, at: float, partitions: list[PartitionId], committed: list[int]) -> NDArray[np.float64]:
        """Seconds since each partition's record at the committed offset was written; 0 where nothing is unread."""
        ages = np.full(len(partitions), np.nan)
        known = np.array([self._columns.get(id, UNKNOWN) for id in partitions], dtype=np.int64)
        rows = np.flatnonzero(known >= 0)
        if not len(rows) or not len(self._times):
            return ages
        offsets = np.array(committed, dtype=np.int64)[rows]
        ends = self._ends[:, known[rows]]
        after = (ends <= offsets).sum(axis=0)
        caught_up = after >= len(self._times)
        late = np.minimum(after, len(self._times) - 1)
        early = np.maximum(late - 1, 0)
        at_late, at_early = self._times[late], self._times[early]
        pick = np.arange(len(rows))
        end_late, end_early = ends[late, pick], ends[early, pick]
        seen_before = (after > 0) & (end_early != UNKNOWN)
        share = (offsets - end_early + 0.5) / np.maximum(end_late - end_early, 1)
        written = np.where(seen_before, at_early + np.clip(share, 0.0, 1.0) * (at_late - at_early), at_late)
        ages[rows] = np.where(caught_up, 0.0, np.maximum(at - written, 0.0))
        return ages

    def _thin(self) -> None:
        most = max(2 * RECENT, MOST_CELLS // max(1, len(self._columns)))
        if len(self._times) < 2 * RECENT:
            return
        old = self._times[:-RECENT]
        first_of_minute = np.r_[True, np.diff(np.floor(old / COARSE_S)) > 0]
        keep = np.flatnonzero(np.r_[first_of_minute, np.full(RECENT, True)])[-most:]
        self._times, self._ends = self._times[keep], self._ends[keep]
