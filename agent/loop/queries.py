"""What may be asked of the data itself: series with their points, and one SELECT in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.loop.glance import Glance
from agent.loop.house import SQL_AT_ONCE
from agent.loop.refused import Refused
from agent.loop.rooms import Rooms
from agent.model.codec import timestamp
from agent.store.batch import from_instant, instant
from agent.store.reading import NAME, Matcher, SeriesReader, is_stale
from agent.store.sqlbox import SqlLimits, SqlRefused, SqlTable, run
from rules.views import VIEWS

MOST_SERIES = 500
MOST_POINTS = 100_000
MOST_SAMPLES = 100_000
"""Rows of the table `samples`, the newest."""
SAMPLES = {"cluster": "VARCHAR", "ts": "TIMESTAMPTZ", "target": "VARCHAR", "name": "VARCHAR",
           "labels": "MAP(VARCHAR, VARCHAR)", "value": "DOUBLE"}  # fmt: skip


class Queries:
    """About one cluster. Thread-safe."""

    def __init__(self, rooms: Rooms, limits: SqlLimits | None = None) -> None:
        self._rooms = rooms
        self._limits = limits or SqlLimits()
        self._reader = SeriesReader(rooms.store)
        self._turns = rooms.house.sql_turns

    def sql(self, sql: str, window_s: float) -> dict[str, Any]:
        """One SELECT over the canonical views, and `samples` of the window; Refused says what it may not."""
        if not self._turns.acquire(blocking=False):
            raise Refused(f"{SQL_AT_ONCE} queries are running", "try again in some seconds", number=429)
        try:
            with Glance(self._rooms.source, self._rooms.clock.now(), window_s) as glance:
                answer = run(sql, lambda name: self._table(name, glance, window_s), self._limits)
        except SqlRefused as refused:
            raise Refused(str(refused), "see docs/sources.md, 'SQL'", number=400) from refused
        finally:
            self._turns.release()
        return {"columns": list(answer.columns), "rows": answer.rows, "truncated": answer.truncated}

    def _table(self, name: str, glance: Glance, window_s: float) -> SqlTable | None:
        if name in VIEWS:
            return SqlTable(columns=VIEWS[name].columns, rows=glance.rows(name))
        if name == "samples":
            return SqlTable(columns=SAMPLES, rows=self._samples(glance.at, window_s))
        return None

    def _samples(self, at: datetime, window_s: float) -> Iterator[dict[str, Any]]:
        since = at - timedelta(seconds=window_s)
        store = self._rooms.store
        rows = store.query_over(
            "samples",
            since,
            at,
            lambda relation: (
                "SELECT x.ts, s.target, s.name, map_keys(s.labels) AS keys, map_values(s.labels) AS vals, x.value "
                f"FROM {relation} x JOIN series s ON s.id = x.series "
                "WHERE x.ts > timezone('UTC', $since::TIMESTAMP) AND x.ts <= timezone('UTC', $at::TIMESTAMP) "
                f"AND s.cluster = $cluster AND x.value IS NOT NULL ORDER BY x.ts DESC LIMIT {MOST_SAMPLES}"
            ),
            {"cluster": self._rooms.cluster, "since": str(instant(since)), "at": str(instant(at))},
        )
        columns = (rows[name] for name in ("ts", "target", "name", "keys", "vals", "value"))
        for ts, target, name, keys, values, value in zip(*columns, strict=True):
            yield {
                "cluster": self._rooms.cluster,
                "ts": timestamp(from_instant(ts)),
                "target": target,
                "name": name,
                "labels": dict(zip(keys, values, strict=True)),
                "value": float(value) if value == value else None,
            }

    def series(self, name: str, labels: Sequence[str], window_s: float) -> dict[str, Any]:
        """Every series of a name whose labels (`key=value`) fit, with its points in the window."""
        matchers = [Matcher(label=NAME, op="=", value=name)]
        for text in labels:
            key, found, value = text.partition("=")
            if not found:
                raise Refused(f"label {text!r} is not key=value", "write label=topic=orders")
            matchers.append(Matcher(label=key, op="=", value=value))
        until = int(self._rooms.clock.now().timestamp() * 1000)
        since = until - int(window_s * 1000)
        found_series = self._reader.series(matchers, since, until)
        ids = found_series.ids[:MOST_SERIES]
        points = self._reader.points(ids, since, until)
        if len(points.values) > MOST_POINTS:
            raise Refused(f"{len(points.values)} points, at most {MOST_POINTS}", "ask for a shorter window_s")
        by_id: dict[int, list[list[float]]] = {int(id): [] for id in ids}
        kept = ~is_stale(points.values) & (points.values == points.values)
        for id, at_ms, value in zip(points.series[kept], points.at_ms[kept], points.values[kept], strict=True):
            by_id[int(id)].append([int(at_ms) / 1000, float(value)])
        rows = [
            {"labels": dict(known), "points": by_id[int(id)]}
            for id, known in zip(ids, found_series.labels, strict=False)
            if by_id[int(id)]
        ]
        return {"series": rows, "truncated": len(found_series.ids) > MOST_SERIES}
