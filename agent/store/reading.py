"""Series and their points, as a query language wants them: matchers and a range in, numpy columns out.

Laws:
1. A series is its labels: `__name__`, its own, and `cluster` and `instance` (the target's host and port) where it has
   none of its own under these names. A label that is absent equals "".
2. Regular expressions are RE2 and match the whole value, as Prometheus has it.
3. Times are milliseconds since 1970. A range is closed at both ends; whoever wants it left-open cuts it.
4. A stale marker (the series ended, or its target was down) is STALE, a NaN that `is_stale` tells from other NaNs.
5. Labels never change under a number, so they are read from the database once per number.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from agent.store.batch import Columns
from agent.store.errors import StoreError
from agent.store.samples import SampleStore

NAME = "__name__"
STALE_BITS = 0x7FF0000000000002
STALE = float(np.array([STALE_BITS], dtype=np.uint64).view(np.float64)[0])
"""Prometheus's own stale marker."""
BUCKET_MS = 300_000
"""Of a rollup."""
MOST_LISTED = 64
"""So few series are listed in the query: DuckDB then skips the row groups between them; for a join it does not."""
MOMENT = timedelta(microseconds=999)
"""A millisecond holds all its microseconds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANCE = "coalesce(labels['instance'], nullif(regexp_extract(target, '^[a-z]+://([^/]+)', 1), ''), target)"
OPERATORS: Mapping[str, str] = {
    "=": "{} = {}",
    "!=": "{} <> {}",
    "=~": "regexp_full_match({}, {}, 's')",
    "!~": "NOT regexp_full_match({}, {}, 's')",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    label: str
    op: Literal["=", "!=", "=~", "!~"]
    value: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """Series by number, ascending; `labels[i]` are those of `ids[i]` and must not be changed."""

    ids: NDArray[np.int32]
    labels: Sequence[Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Points:
    """Samples by series, then time."""

    series: NDArray[np.int32]
    at_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """Rollups of five minutes by series, then time; a bucket holds the samples of [start, start + 5 min)."""

    series: NDArray[np.int32]
    start_ms: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    last: NDArray[np.float64]
    count: NDArray[np.int64]
    sum: NDArray[np.float64]
    increase: NDArray[np.float64]
    """What a counter grew by up to its last sample in the bucket since the sample before its first one, resets
    corrected; of a series' very first sample nothing."""


@dataclass(frozen=True, kw_only=True)
class GroupedBuckets:
    """One measure of the rollups of many series, made one by group and bucket."""

    group: NDArray[np.int32]
    start_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    count: NDArray[np.int64]


class SeriesReader:
    """Reads one store. Thread-safe."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._generation = store.generation
        self._labels: dict[int, Mapping[str, str]] = {}
        self._lock = threading.Lock()

    def series(self, matchers: Sequence[Matcher], since_ms: int, until_ms: int) -> Found:
        """All series that fit every matcher and were seen before `until_ms`; some may have no points in the range."""
        parameters: dict[str, Any] = {"until": until_ms * 1000}
        where = ["first_ts <= make_timestamptz($until::BIGINT)"]
        for number, matcher in enumerate(matchers):
            parameters[f"v{number}"] = matcher.value
            where.append(OPERATORS[matcher.op].format(_column(matcher.label, number, parameters), f"$v{number}"))
        rows = self._store.query(f"SELECT id FROM series WHERE {' AND '.join(where)} ORDER BY id", parameters)
        ids = np.asarray(rows["id"], dtype=np.int32)
        return Found(ids=ids, labels=self._labels_of(ids))

    def points(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> Points:
        """Every sample of these series in [since, until]."""
        sql = "SELECT x.series, epoch_us(x.ts) AS us, x.value FROM {relation} x {chosen} WHERE {between}"
        rows = self._read("samples", sql, ids, since_ms, until_ms)
        series, at_us = np.asarray(rows["series"]), np.asarray(rows["us"])
        order = _order(series, at_us)
        return Points(series=series[order], at_ms=at_us[order] // 1000, values=_values(rows["value"])[order])

    def count(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> int:
        """How many samples `points` would give: cheap, and asked before a read that may be too large to hold."""
        sql = "SELECT count(*) AS samples FROM {relation} x {chosen} WHERE {between}"
        return int(self._read("samples", sql, ids, since_ms, until_ms)["samples"][0])

    def rollups(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> Buckets:
        """The buckets of these series that start in [since, until]: coarse and cheap, and kept longer than samples."""
        rows = self._store.rollups(ids, time_of(since_ms), time_of(until_ms))
        return Buckets(
            series=np.asarray(rows["series"], dtype=np.int32),
            start_ms=np.asarray(rows["us"]) // 1000,
            count=np.asarray(rows["count"], dtype=np.int64),
            **{
                name: np.ma.filled(np.ma.asarray(rows[name], dtype=np.float64), np.nan)
                for name in ("low", "high", "last", "sum", "increase")
            },
        )

    def grouped(
        self,
        ids: NDArray[np.int32],
        groups: NDArray[np.int32],
        since_ms: int,
        until_ms: int,
        measure: Literal["increase", "sum", "low", "high", "last"],
    ) -> GroupedBuckets:
        """One measure of each group's series in each five minutes that start in [since, until], made one in SQL."""
        combined = {"low": "min", "high": "max", "last": "max"}.get(measure, "sum")
        rows = self._store.over_rollups(
            f"wanted.member AS member, epoch_us(x.ts) AS us, {combined}({measure}) AS value, "
            "sum(count)::BIGINT AS count",
            "GROUP BY wanted.member, x.ts",
            time_of(since_ms),
            time_of(until_ms),
            {"id": ids, "member": groups},
        )
        return GroupedBuckets(
            group=np.asarray(rows["member"], dtype=np.int32),
            start_ms=np.asarray(rows["us"]) // 1000,
            value=np.ma.filled(np.ma.asarray(rows["value"], dtype=np.float64), 0.0),
            count=np.asarray(rows["count"], dtype=np.int64),
        )

    def _read(self, kind: str, sql: str, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> Columns:
        ids = np.unique(np.asarray(ids, dtype=np.int32))
        if not len(ids):
            ids = np.array([-1], dtype=np.int32)
        in_a_row = int(ids[-1]) - int(ids[0]) + 1 == len(ids)
        listed = len(ids) <= MOST_LISTED
        chosen = "" if in_a_row or listed else "JOIN wanted ON wanted.id = x.series"
        between = f"x.series BETWEEN {ids[0]} AND {ids[-1]}"
        if listed and not in_a_row:
            between += f" AND x.series IN ({', '.join(map(str, ids.tolist()))})"

        def text(relation: str) -> str:
            return sql.format(relation=relation, chosen=chosen, between=between)

        return self._store.query_over(
            kind,
            time_of(since_ms),
            time_of(until_ms) + MOMENT,
            text,
            exact=True,
            wanted={"id": ids} if chosen else None,
        )

    def _labels_of(self, ids: NDArray[np.int32]) -> list[Mapping[str, str]]:
        with self._lock:
            if self._generation != self._store.generation:
                self._generation = self._store.generation
                self._labels.clear()
            missing = np.array([id for id in ids.tolist() if id not in self._labels], dtype=np.int32)
            if len(missing):
                self._load(missing)
            return [self._labels[id] for id in ids.tolist()]

    def _load(self, ids: NDArray[np.int32]) -> None:
        rows = self._store.query(
            "SELECT s.id, cluster, target, name, map_keys(labels) AS keys, map_values(labels) AS vals FROM series s "
            "JOIN wanted ON wanted.id = s.id",
            wanted={"id": ids},
        )
        columns = zip(
            rows["id"].tolist(), rows["cluster"], rows["target"], rows["name"], rows["keys"], rows["vals"], strict=True
        )
        for id, cluster, target, name, keys, values in columns:
            labels = {NAME: name, "cluster": cluster, "instance": urlsplit(target).netloc or target}
            labels.update(zip(keys, values, strict=True))
            self._labels[id] = {name: value for name, value in labels.items() if value}


def is_stale(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the values are stale markers."""
    found: NDArray[np.bool_] = np.ascontiguousarray(values).view(np.uint64) == STALE_BITS
    return found


def _column(label: str, number: int, parameters: dict[str, Any]) -> str:
    if label == NAME:
        return "name"
    if label == "instance":
        return INSTANCE
    parameters[f"l{number}"] = label
    own = f"labels[$l{number}]"
    return f"coalesce({own}, cluster)" if label == "cluster" else f"coalesce({own}, '')"


def _order(series: NDArray[np.int32], at_us: NDArray[np.int64]) -> NDArray[np.intp]:
    """By series, then time: files are sorted so and hot rounds are in order of time, so runs need only be merged."""
    order = np.argsort(series, kind="stable")
    sorted_series, times = series[order], at_us[order]
    if ((sorted_series[1:] == sorted_series[:-1]) & (times[1:] < times[:-1])).any():
        return np.lexsort((at_us, series))
    return order


def _values(column: NDArray[Any]) -> NDArray[np.float64]:
    """NULL is how the store keeps a stale marker: DuckDB and Parquet may take one NaN for another."""
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), STALE)


def time_of(ms: int) -> datetime:
    """A time of milliseconds since 1970; StoreError where there is none."""
    try:
        return EPOCH + timedelta(milliseconds=ms)
    except OverflowError as error:
        raise StoreError(f"{ms} ms since 1970 is no time that the store could hold") from error
