"""What was pushed since the last round: its newest values go into the store with the next one, under that round's time.

Laws:
1. A pushed series has one sample a round at most, and none in a round before which nothing came: nothing is repeated.
2. Points of one series count in the order of their own times. One that is older than what is known is refused, one of
   the same time (a push that was sent twice) changes nothing. A time ahead of the agent's clock counts as now.
3. What is pushed as a difference is added up here, from zero when the series is first seen.
4. A series that nobody pushed for five minutes has ended: it gets a stale marker and is forgotten.
5. The number of series is limited, here and in the store, so that pushing never keeps scraping from its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.collect.exposition import Scraped
from agent.collect.otlp import Point, PushLimits, Reading, Refusals
from agent.model.clock import Clock
from agent.store.errors import StoreError
from agent.store.samples import Labels, SampleStore

SILENT_S = 300.0
"""As long as Prometheus looks back for a sample."""
MOST_SERIES = 50_000
MOST_STORED = 500_000
"""Series in the store from which on new ones are not taken by push."""

Key = tuple[str, str, Labels]


@dataclass(kw_only=True, slots=True)
class _Series:
    value: float
    at_ns: int
    heard_s: float
    number: int = -1
    """In the store; -1 until its first round."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What pushes bring to a round."""

    scraped: Scraped
    ended: NDArray[np.int32]
    active: bool
    """Somebody pushes."""


class Pushed:
    """The pushed series of one cluster. Thread-safe."""

    def __init__(self, store: SampleStore, cluster: str, *, clock: Clock, most_series: int = MOST_SERIES) -> None:
        self.limits = PushLimits()
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._most = most_series
        self._generation = store.generation
        self._series: dict[Key, _Series] = {}
        self._fresh: dict[Key, _Series] = {}
        self._ended: list[int] = []
        self._lock = threading.Lock()

    def take(self, reading: Reading) -> Refusals:
        """Keeps the points for the next round; what is refused is added to the reading's refusals."""
        now_ns, now_s = int(self._clock.now().timestamp() * 1e9), self._clock.monotonic()
        with self._lock:
            room = self._store.series_count < MOST_STORED
            for point in reading.points:
                if reason := self._take(point, min(point.at_ns or now_ns, now_ns), now_s, room=room):
                    reading.refusals.add(reason)
        return reading.refusals

    def _take(self, point: Point, at_ns: int, now_s: float, *, room: bool) -> str:
        key = (point.target, point.name, point.labels)
        known = self._series.get(key)
        if point.nothing:
            self._end(key, known)
            return ""
        if known is None:
            if len(self._series) >= self._most or not room:
                return f"a new series over {self._most} pushed or {MOST_STORED} stored ones: push fewer series"
            known = _Series(value=point.value, at_ns=at_ns, heard_s=now_s)
            self._series[key] = self._fresh[key] = known
            return ""
        if at_ns < known.at_ns:
            return "a point older than one that came before: the sender's clock went back, or two send one series"
        if at_ns == known.at_ns:
            return ""
        known.value = known.value + point.value if point.delta else point.value
        known.at_ns, known.heard_s = at_ns, now_s
        self._fresh[key] = known
        return ""

    def _end(self, key: Key, known: _Series | None) -> None:
        if known is not None:
            del self._series[key]
            self._fresh.pop(key, None)
            if known.number >= 0:
                self._ended.append(known.number)

    def bring(self) -> Brought:
        """The newest value of each series that was pushed since the last call, and the series that ended."""
        with self._lock:
            self._renumber()
            silent_s = self._clock.monotonic() - SILENT_S
            for key, known in [each for each in self._series.items() if each[1].heard_s < silent_s]:
                self._end(key, known)
            fresh, self._fresh = self._fresh, {}
            ended, self._ended = self._ended, []
            numbers, values = self._numbered(fresh)
            return Brought(
                scraped=Scraped(series=np.array(numbers, dtype=np.int32), values=np.array(values, dtype=np.float64)),
                ended=np.array(ended, dtype=np.int32),
                active=bool(self._series),
            )

    def _numbered(self, fresh: dict[Key, _Series]) -> tuple[list[int], list[float]]:
        numbers, values = [], []
        for (target, name, labels), known in fresh.items():
            if known.number < 0:
                try:
                    known.number = self._store.series_id(self._cluster, target, name, labels)
                except StoreError:
                    # The store is full or away; it says so itself, and the series is tried again with its next push.
                    continue
            numbers.append(known.number)
            values.append(known.value)
        return numbers, values

    def _renumber(self) -> None:
        if self._generation != self._store.generation:
            self._generation = self._store.generation
            self._ended = []
            for known in self._series.values():
                known.number = -1
