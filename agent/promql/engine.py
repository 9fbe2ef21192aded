"""PromQL over the agent's own samples: one query in, an answer in Prometheus's shape out. Thread-safe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.model.clock import Clock
from agent.promql.answer import Answer, instant_answer, range_series
from agent.promql.errors import BadQuery, QueryError
from agent.promql.evaluate import Evaluator
from agent.promql.parse import parse
from agent.promql.query import Budget, Grid, Settings
from agent.promql.source import Source
from agent.promql.values import Scalar, Value, Vector


@dataclass(frozen=True, kw_only=True, eq=False)
class Engine:
    """The queries that a source can answer."""

    source: Source
    clock: Clock
    settings: Settings

    def instant(self, query: str, at_ms: int, *, timeout_s: float | None = None) -> Answer:
        """The query's value at one time."""
        node = parse(query, self.settings)
        grid = Grid(times=np.array([at_ms], dtype=np.int64), step_ms=1)
        value, warnings = self._evaluate(node, grid, timeout_s)
        return instant_answer(value, at_ms) | _said(warnings)

    def range(self, query: str, start_ms: int, end_ms: int, step_ms: int, *, timeout_s: float | None = None) -> Answer:
        """The query's value at each step from start to end."""
        series, warnings = self.range_series(query, start_ms, end_ms, step_ms, timeout_s=timeout_s)
        return {"resultType": "matrix", "result": list(series)} | _said(warnings)

    def range_series(
        self, query: str, start_ms: int, end_ms: int, step_ms: int, *, timeout_s: float | None = None
    ) -> tuple[Iterator[dict[str, Any]], list[str]]:
        """The series of `range`, each made when it is asked for, and the warnings.

        A million points as Python's lists take ten times the memory that they take as numbers or as text.
        """
        if step_ms <= 0:
            raise BadQuery("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        if (end_ms - start_ms) // step_ms + 1 > self.settings.most_points:
            raise BadQuery(
                f"exceeded maximum resolution of {self.settings.most_points:,} points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        node = parse(query, self.settings)
        grid = Grid.of(start_ms, end_ms, step_ms)
        value, warnings = self._evaluate(node, grid, timeout_s)
        if not isinstance(value, Vector | Scalar):
            raise BadQuery("invalid expression type for range query, must be Scalar or instant Vector")
        return range_series(value, grid), list(dict.fromkeys(warnings))

    def _evaluate(self, node: Any, grid: Grid, timeout_s: float | None) -> tuple[Value, list[str]]:
        seconds = self.settings.timeout_s if timeout_s is None else min(timeout_s, self.settings.timeout_s)
        budget = Budget(
            most_samples=self.settings.most_samples,
            deadline=self.clock.monotonic() + seconds,
            monotonic=self.clock.monotonic,
        )
        evaluator = Evaluator(
            self.source, self.settings, budget, start_ms=int(grid.times[0]), end_ms=int(grid.times[-1])
        )
        try:
            with np.errstate(all="ignore"):
                return evaluator.evaluate(node, grid), budget.warnings
        except RecursionError as error:
            raise QueryError("the query is nested too deeply") from error


def _said(warnings: list[str]) -> Answer:
    return {"warnings": list(dict.fromkeys(warnings))} if warnings else {}
