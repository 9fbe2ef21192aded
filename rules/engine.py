"""Runs pages: views are materialised into an in-memory DuckDB of its own, and each page's SELECT reads them there.

Laws:
1. The instance holds views and nothing else: external access off, Python objects out of sight, configuration locked,
   memory and time bounded. A user's page can read what the canonical views say, and that is all.
2. A page's query runs in a READ ONLY transaction, because `WITH x AS (INSERT ...) SELECT` passes for a SELECT.
3. What cannot be known is said (`NoData`, a NULL `fired`); it is never a firing and never a recovery.
4. One `Workspace` serves all pages of one round: a view is filled once per window, not once per page.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import unquote

import duckdb

from rules import sandbox
from rules.errors import NoData, QueryError
from rules.page import RulePage
from rules.sandbox import Cell, number
from rules.views import VIEWS

log = logging.getLogger("streampilot.rules")

REQUIRED = ("resource", "fired", "observed", "limit", "score", "usd_per_month")
EVIDENCE_ROWS = 24
"""Rows of one view kept with a finding: a screen, and enough to show a broker beside its peers."""

__all__ = ["Cell", "NoData", "QueryError", "Row", "Verdict", "ViewSource", "Workspace", "evaluate"]


class ViewSource(Protocol):
    """Who knows the cluster: the store, or a page's own cases."""

    def fill(self, connection: duckdb.DuckDBPyConnection, view: str, at: datetime, window_s: float) -> None:
        """Inserts the view's rows for the instant `at` over `window_s`; the empty table exists. NoData says why not."""

    def age_s(self, view: str, at: datetime) -> float:
        """Seconds of history behind the view at `at`, for `min_age`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One candidate and what the page says of it."""

    resource: str
    fired: bool | None
    """None: not enough is known to say."""
    observed: float | None
    limit: float | None
    score: float
    """Observed over limit as the page defines it; 1.0 is the threshold."""
    usd_per_month: float | None
    params: Mapping[str, Cell]
    """The `action_*` columns, without the prefix."""
    evidence: Mapping[str, Cell]
    """The page's other columns."""
    views: Mapping[str, tuple[dict[str, Cell], ...]]
    """Rows of the needed views that concern the resource, then its peers; only where it fired."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    rows: tuple[Row, ...]
    silent_reason: str | None
    """Why nothing can be said; None where the query ran."""
    query_hash: str
    """SHA-256 of the SQL and its bound thresholds."""


class Workspace:
    """One instant, as far as pages need it: one locked database per window, each view filled once."""

    def __init__(
        self,
        source: ViewSource,
        at: datetime,
        timeout_s: float = sandbox.TIMEOUT_S,
        databases: sandbox.Databases | None = None,
    ) -> None:
        self.source = source
        self.at = at
        self._timeout_s = timeout_s
        self._databases = databases or sandbox.Databases()
        self._owns_databases = databases is None
        self._filled: dict[tuple[float, str], str | None] = {}
        self._ages: dict[str, float] = {}
        self._kinds: dict[str, str] | None = None

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._owns_databases:
            self._databases.close()

    def materialise(self, view: str, window_s: float) -> duckdb.DuckDBPyConnection:
        """The database that holds the view over `window_s`; NoData where it cannot be filled."""
        connection = self._databases.of(window_s)
        place = (window_s, view)
        if place not in self._filled:
            self._filled[place] = self._fill(connection, view, window_s)
        if reason := self._filled[place]:
            raise NoData(reason)
        return connection

    def _fill(self, connection: duckdb.DuckDBPyConnection, view: str, window_s: float) -> str | None:
        connection.execute(VIEWS[view].ddl)
        try:
            self.source.fill(connection, view, self.at, window_s)
        except NoData as gap:
            return f"no data for {view}: {gap.reason}"
        except Exception as error:
            # Whoever fills the views is foreign here; its mistake is told as a gap in the data, and logged in full.
            log.exception("view %s could not be filled", view)
            return f"no data for {view}: it could not be read ({type(error).__name__}: {sandbox.first_line(error)})"
        return None

    def rows(
        self, view: str, window_s: float, where: str = "true", values: Sequence[Any] = ()
    ) -> list[dict[str, Cell]]:
        """The view's rows as plain cells; times are RFC 3339 text."""
        connection = self.materialise(view, window_s)
        return sandbox.table(connection, f'SELECT * FROM "{view}" WHERE {where}', list(values))[1]

    def kinds(self, window_s: float) -> dict[str, str]:
        """Cluster to kind, as far as the broker view knows it; asked once, since no window changes it."""
        if self._kinds is None:
            try:
                connection = self.materialise("broker", window_s)
                found = connection.execute(
                    "SELECT DISTINCT cluster, kind FROM broker WHERE kind IS NOT NULL"
                ).fetchall()
            except NoData:
                found = []
            self._kinds = dict(found)
        return self._kinds

    def evaluate(
        self, page: RulePage, *, thresholds: Mapping[str, float | str] | None = None, time_scale: float = 1.0
    ) -> Verdict:
        """The page's candidates now; QueryError where its SQL fails at run time."""
        bound = page.bind(thresholds)
        mark = query_hash(page.query, bound)
        window_s = page.window_s / time_scale
        try:
            if young := self._too_young(page, time_scale):
                return Verdict(rows=(), silent_reason=young, query_hash=mark)
            for view in page.needs:
                connection = self.materialise(view, window_s)
        except NoData as gap:
            return Verdict(rows=(), silent_reason=gap.reason, query_hash=mark)
        candidates = candidate_rows(connection, page, bound, self._timeout_s)
        kinds = self.kinds(window_s)
        fitting = [row for row in candidates if kinds.get(_cluster(str(row["resource"])), page.kinds[0]) in page.kinds]
        if candidates and not fitting:
            reason = f"a rule for {', '.join(page.kinds)} clusters only"
            return Verdict(rows=(), silent_reason=reason, query_hash=mark)
        return Verdict(
            rows=tuple(self._row(page, raw, window_s) for raw in fitting), silent_reason=None, query_hash=mark
        )

    def _too_young(self, page: RulePage, time_scale: float) -> str | None:
        youngest = min(page.needs, key=self._age_s)
        missing = page.min_age_s / time_scale - self._age_s(youngest)
        if missing > 0 and not self._age_s(youngest):
            return f"needs {words(missing)} of data for {youngest}, and none has come yet"
        return f"needs {words(missing)} more of data" if missing > 0 else None

    def _age_s(self, view: str) -> float:
        if view not in self._ages:
            self._ages[view] = self.source.age_s(view, self.at)
        return self._ages[view]

    def _row(self, page: RulePage, raw: dict[str, Any], window_s: float) -> Row:
        params = {name[7:]: value for name, value in raw.items() if name.startswith("action_")}
        evidence = {name: value for name, value in raw.items() if name not in REQUIRED and name[:7] != "action_"}
        views = {view: self._evidence(page, view, raw["resource"], window_s) for view in page.needs if raw["fired"]}
        return Row(
            resource=raw["resource"],
            fired=raw["fired"],
            observed=number(raw["observed"]),
            limit=number(raw["limit"]),
            score=number(raw["score"]) or 0.0,
            usd_per_month=number(raw["usd_per_month"]),
            params=params,
            evidence=evidence,
            views=views,
        )

    def _evidence(self, page: RulePage, view: str, resource: str, window_s: float) -> tuple[dict[str, Cell], ...]:
        """The view's rows nearest to the resource: its own, those that name it, then its cluster's others."""
        named = [column for column in _NAMES.get(page.scope, ()) if column in VIEWS[view].columns]
        naming = "".join(f' + ("{column}" = $2)::INT' for column in named)
        order = f"coalesce((resource = $1 OR starts_with(resource, $1 || '/'))::INT{naming}, 0) DESC, resource"
        where = f"cluster = $3 AND ($2 IS NOT NULL) ORDER BY {order} LIMIT {EVIDENCE_ROWS}"
        subject = resource.rsplit("/", 1)[-1]
        return tuple(self.rows(view, window_s, where, [resource, subject, _cluster(resource)]))


_NAMES = {
    "broker": ("broker", "leader", "coordinator"),
    "topic": ("topic",),
    "group": ("group_id",),
    "client": ("client_id",),
}


def evaluate(
    page: RulePage,
    source: ViewSource,
    at: datetime,
    *,
    thresholds: Mapping[str, float | str] | None = None,
    time_scale: float = 1.0,
) -> Verdict:
    """One page at one instant, in a workspace of its own."""
    with Workspace(source, at) as workspace:
        return workspace.evaluate(page, thresholds=thresholds, time_scale=time_scale)


def query_hash(query: str, bound: Mapping[str, Any]) -> str:
    """What makes a question the same question: its SQL and the thresholds bound in it."""
    return hashlib.sha256(f"{query}\n{json.dumps(bound, sort_keys=True)}".encode()).hexdigest()


def candidate_rows(
    connection: duckdb.DuckDBPyConnection,
    page: RulePage,
    bound: Mapping[str, Any],
    timeout_s: float = sandbox.TIMEOUT_S,
) -> list[dict[str, Cell]]:
    """The query's rows, checked: the required columns, one row per resource, `fired` true, false or NULL."""
    with sandbox.guard(connection, page.id, timeout_s):
        names, rows = sandbox.table(connection, page.query, dict(bound))
    if missing := [name for name in REQUIRED if name not in names]:
        raise QueryError(f"{page.id}: the query has no column {missing[0]!r}; it needs {', '.join(REQUIRED)}")
    if doubled := [name for name in names if names.count(name) > 1]:
        raise QueryError(f"{page.id}: the query has two columns {doubled[0]!r}; name them apart")
    seen: set[str] = set()
    for row in rows:
        if not isinstance(row["resource"], str) or row["resource"] in seen:
            raise QueryError(f"{page.id}: one row per candidate, but {row['resource']!r} is NULL or comes twice")
        if row["fired"] is not None and not isinstance(row["fired"], bool):
            raise QueryError(f"{page.id}: `fired` is {row['fired']!r} for {row['resource']}; make it true or false")
        seen.add(row["resource"])
    return rows


def words(seconds: float) -> str:
    """`180` is "3 minutes": rounded up, because it says how long to wait."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            count = math.ceil(seconds / size - 1e-9) or 1
            return f"{count} {unit}{'s' if count != 1 else ''}"
    raise AssertionError("the last unit takes all")


def _cluster(resource: str) -> str:
    """The first segment, decoded: `cluster` columns hold the name itself."""
    return unquote(resource.split("/", 1)[0])
