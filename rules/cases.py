"""Runs a page's own cases: the page against what its author says it must and must not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from rules import schema, views
from rules.engine import NoData, Verdict, Workspace
from rules.page import Case, RulePage, Step

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When cases begin; no rule may depend on it."""


@dataclass(frozen=True, kw_only=True)
class CaseResult:
    rule: str
    case: str
    line: int
    source: str
    passed: bool
    expected: tuple[str, ...]
    fired: tuple[str, ...]
    detail: str
    """Where it failed: each resource with its numbers."""


class StepSource:
    """A step of a case as a source of views: old enough for any rule."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def fill(self, connection: duckdb.DuckDBPyConnection, view: str, at: datetime, window_s: float) -> None:
        rows = self.step.views.get(view, ())
        if isinstance(rows, str):
            raise NoData(rows)
        common = {"as_of": at, "window_s": window_s, "data_age_s": 0.0}
        views.insert(connection, view, [{**common, **_times(row, at)} for row in rows])

    def age_s(self, view: str, at: datetime) -> float:
        return float("inf")


def run(page: RulePage) -> tuple[CaseResult, ...]:
    """Every case of the page; QueryError where the query fails on one."""
    return tuple(run_case(page, case) for case in page.cases)


def run_case(page: RulePage, case: Case) -> CaseResult:
    """One case: its steps through the query, the answers through `persist`."""
    history: dict[str, list[bool]] = {}
    alone = page.persist.of if len(case.steps) == 1 else 1
    at, last = START, Verdict(rows=(), silent_reason="no step", query_hash="")
    for step in case.steps:
        with Workspace(StepSource(step), at) as workspace:
            last = workspace.evaluate(page)
        for _ in range(step.times or alone):
            _remember(history, last)
            at += timedelta(seconds=page.every_s)
    fired = tuple(sorted(resource for resource, seen in history.items() if page.persist.holds(seen)))
    return CaseResult(
        rule=page.id,
        case=case.name,
        line=case.line,
        source=page.source,
        passed=fired == tuple(sorted(case.expect)),
        expected=case.expect,
        fired=fired,
        detail=_detail(last),
    )


def _remember(history: dict[str, list[bool]], verdict: Verdict) -> None:
    if verdict.silent_reason is not None:
        return
    answers = {row.resource: row.fired for row in verdict.rows}
    for resource in history.keys() | answers.keys():
        answer = answers.get(resource, False)
        if answer is not None:
            history.setdefault(resource, []).append(answer)


def _detail(verdict: Verdict) -> str:
    if verdict.silent_reason is not None:
        return verdict.silent_reason
    lines = [f"{row.resource}: fired={row.fired} observed={row.observed} limit={row.limit}" for row in verdict.rows]
    return "; ".join(lines) or "no candidates"


def _times(row: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """`5m ago` becomes that instant."""
    return {name: _instant(value, at) for name, value in row.items()}


def _instant(value: Any, at: datetime) -> Any:
    ago = schema.duration_s(value[:-4]) if isinstance(value, str) and value.endswith(" ago") else None
    return value if ago is None else at - timedelta(seconds=ago)
