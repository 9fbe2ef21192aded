"""Which series had samples in a time: for lists of names, which a query language asks for with a range.

The running hours are read by their rows. A closed hour counts whole, and so does a day with one file of rollups, where
a series that only ever had NaN is not found. What a file holds does not change, so it is read once and remembered as a
bit for each series.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.store.batch import instant
from agent.store.errors import ask_again
from agent.store.hours import within
from agent.store.samples import SampleStore

MOST_BYTES = 32 << 20
"""Of what is remembered: 2,000 hours of 128,000 series."""


class SeenSeries:
    """Reads one store. Thread-safe."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, int], NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    def during(self, since: datetime, until: datetime) -> NDArray[np.bool_]:
        """By series number, whether it had a sample in [since, until]; numbers beyond the end had none."""
        # The running hours first: one that becomes a file meanwhile is then found twice, not never.
        rows = self._store.query_over(
            "samples",
            since,
            until,
            lambda hot: (
                f"SELECT DISTINCT series FROM {hot} WHERE ts BETWEEN make_timestamptz($since::BIGINT) "
                "AND make_timestamptz($until::BIGINT)"
            ),
            {"since": _us(since), "until": _us(until)},
            files=False,
        )
        files = self._files(since, until)
        parts = [_bits(np.asarray(rows["series"])), *(ask_again(partial(self._of_file, file)) for file in files)]
        seen = np.zeros(8 * max(len(part) for part in parts), dtype=np.bool_)
        for part in parts:
            seen[: len(part) * 8] |= np.unpackbits(part).astype(np.bool_)
        return seen

    def _files(self, since: datetime, until: datetime) -> list[Path]:
        shelf = self._store.shelf
        days = {span for span in shelf.rollup_spans() if len(span) == 8}
        hours = [hour for hour in shelf.sample_hours() if hour[:8] not in days]
        return [shelf.rollup(day) for day in within(days, since, until)] + [
            shelf.hour(f"samples_{hour}") for hour in within(hours, since, until)
        ]

    def _of_file(self, file: Path) -> NDArray[np.uint8]:
        changed_ns = self._store.shelf.changed_ns(file)
        if changed_ns is None:
            return np.empty(0, dtype=np.uint8)
        key = (str(file), changed_ns)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if not self._store.shelf.bring([file]):
            return np.empty(0, dtype=np.uint8)
        rows = self._store.query(f"SELECT DISTINCT series FROM read_parquet('{file}')")
        bits = _bits(np.asarray(rows["series"]))
        with self._lock:
            self._bytes += 0 if key in self._kept else bits.nbytes
            self._kept[key] = bits
            while self._bytes > MOST_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return bits


def _bits(ids: NDArray[np.int32]) -> NDArray[np.uint8]:
    seen = np.zeros(int(ids.max(initial=-1)) + 1, dtype=np.bool_)
    seen[ids] = True
    return np.packbits(seen)


def _us(at: datetime) -> int:
    return int(instant(at).astype(np.int64))
