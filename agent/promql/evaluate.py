"""The evaluator: a tree and a grid of steps in, a value for all steps out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import promql_parser as tree

from agent.promql import aggregate, rolled
from agent.promql.arithmetic import COMPARISONS, SETS, numbers, with_scalar
from agent.promql.errors import Unsupported
from agent.promql.functions import FUNCTIONS, Call, as_vector
from agent.promql.joining import Matching, combine, combine_sets
from agent.promql.labels import LabelTable
from agent.promql.parse import matchers_of, milliseconds, pinned
from agent.promql.query import Budget, Grid, Settings
from agent.promql.select import Reader, series_windows
from agent.promql.source import Matcher, Source
from agent.promql.values import Ints, Scalar, Text, Value, Vector, Windows, merged


class Evaluator:
    """One query's evaluation."""

    def __init__(self, source: Source, settings: Settings, budget: Budget, *, start_ms: int, end_ms: int) -> None:
        self._settings = settings
        self._budget = budget
        self._source = source
        self._start_ms = start_ms
        self._end_ms = end_ms
        self._reader = Reader(source=source, budget=budget, edge=settings.range_edge, lookback_ms=settings.lookback_ms)
        self._nodes: dict[type, Callable[[Any, Grid], Value]] = {
            tree.NumberLiteral: lambda node, grid: Scalar(values=np.full(grid.steps, node.val)),
            tree.StringLiteral: lambda node, grid: Text(value=node.val),
            tree.ParenExpr: lambda node, grid: self.evaluate(node.expr, grid),
            tree.UnaryExpr: self._negated,
            tree.VectorSelector: lambda node, grid: self._instant(node, grid)[0],
            tree.MatrixSelector: self._range,
            tree.SubqueryExpr: self._subquery,
            tree.BinaryExpr: self._binary,
            tree.AggregateExpr: self._aggregate,
            tree.Call: self._call,
        }

    def evaluate(self, node: Any, grid: Grid) -> Value:
        """The value of a tree at each step."""
        self._budget.check()
        return self._nodes[type(node)](node, grid)

    def _vector(self, node: Any, grid: Grid) -> Vector:
        value = self.evaluate(node, grid)
        assert isinstance(value, Vector)
        return value

    # Selectors

    def _ends(self, node: Any, grid: Grid) -> Ints:
        at = pinned(node.at, self._start_ms, self._end_ms)
        times = grid.times if at is None else np.full(grid.steps, at, dtype=np.int64)
        return times - milliseconds(node.offset)

    def _instant(self, node: Any, grid: Grid) -> tuple[Vector, Ints]:
        return self._reader.instant(matchers_of(node), self._ends(node, grid))

    def _range(self, node: Any, grid: Grid) -> Windows:
        inner = node.vector_selector
        return self._reader.windows(matchers_of(inner), self._ends(inner, grid), milliseconds(node.range))

    def _subquery(self, node: Any, grid: Grid) -> Windows:
        ends, range_ms = self._ends(node, grid), milliseconds(node.range)
        step_ms = milliseconds(node.step) or self._settings.subquery_step_ms
        since = int(ends.min()) - range_ms
        start = since // step_ms * step_ms
        if start < since or (start == since and self._settings.range_edge == "open"):
            start += step_ms
        self._budget.charge(max(0, int(ends.max()) - start) // step_ms)
        inner = Grid.of(start, int(ends.max()), step_ms)
        vector = self._vector(node.expr, inner)
        return series_windows(vector, inner.times, ends, range_ms, self._settings.range_edge)

    # Operators

    def _negated(self, node: Any, grid: Grid) -> Value:
        value = self.evaluate(node.expr, grid)
        if isinstance(value, Scalar):
            return Scalar(values=-value.values)
        assert isinstance(value, Vector)
        return Vector(labels=value.labels, values=-value.values, present=value.present).without_name()

    def _binary(self, node: Any, grid: Grid) -> Value:
        op, modifier = str(node.op), node.modifier
        matching, as_bool = _matching(modifier), bool(modifier and modifier.return_bool)
        left, right = self.evaluate(node.lhs, grid), self.evaluate(node.rhs, grid)
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(values=numbers(op, left.values, right.values))
        if isinstance(left, Vector) and isinstance(right, Scalar):
            return with_scalar(op, left, right, swapped=False, as_bool=as_bool)
        if isinstance(left, Scalar) and isinstance(right, Vector):
            return with_scalar(op, right, left, swapped=True, as_bool=as_bool)
        assert isinstance(left, Vector)
        assert isinstance(right, Vector)
        if op in SETS:
            return combine_sets(op, left, right, matching)
        return combine(op, left, right, matching, as_bool=as_bool and op in COMPARISONS)

    def _aggregate(self, node: Any, grid: Grid) -> Vector:
        op, modifier = str(node.op), node.modifier
        names = tuple(modifier.labels) if modifier else ()
        without = bool(modifier) and str(modifier.type).endswith("Without")
        coarse = self._rolled(node.expr, grid, op, (names, without))
        if coarse is not None:
            return coarse
        vector = self._vector(node.expr, grid)
        if op in aggregate.SIMPLE:
            return aggregate.simple(op, vector, names, without=without)
        if op not in {"topk", "bottomk", "quantile", "count_values"}:
            raise Unsupported(f"the aggregation {op}() is not supported by this agent")
        parameter = self.evaluate(node.param, grid)
        if isinstance(parameter, Text):
            return aggregate.count_values(vector, parameter.value, names, without=without)
        assert isinstance(parameter, Scalar)
        if op == "quantile":
            return aggregate.quantile(vector, parameter.values, names, without=without)
        return aggregate.ranked(op, vector, parameter.values, names, without=without)

    # Functions

    def _call(self, node: Any, grid: Grid) -> Value:
        name = node.func.name
        if name == "timestamp":
            return self._timestamp(_bare(node.args[0]), grid)
        if name in {"absent", "absent_over_time"}:
            return self._absent(_bare(node.args[0]), grid)
        function = FUNCTIONS.get(name)
        if function is None:
            raise Unsupported(f"the function {name}() is not supported by this agent")
        coarse = self._rolled(node, grid, "", None)
        if coarse is not None:
            return merged(coarse)
        call = Call(
            args=[self.evaluate(each, grid) for each in node.args],
            grid=grid,
            edge=self._settings.range_edge,
            check=self._budget.check,
        )
        return function(call)

    def _rolled(self, node: Any, grid: Grid, within: str, by: tuple[tuple[str, ...], bool] | None) -> Vector | None:
        """A function of a range, aggregated where `by` says how, from rollups where the samples would be too many."""
        call = rolled.rollable(node, within)
        if call is None:
            return None
        selector, range_ms = call.args[0].vector_selector, milliseconds(call.args[0].range)
        selection = self._source.select(matchers_of(selector))
        labels, function = selection.labels, call.func.name
        groups, left = rolled.alone(labels, function) if by is None else aggregate.grouped(labels, by[0], without=by[1])
        found = rolled.from_rollups(
            self._source,
            self._budget,
            selection,
            groups,
            left,
            self._ends(selector, grid),
            range_ms,
            function=function,
        )
        if found is not None:
            self._budget.warnings.append(
                f"{function}() of {len(selection.ids)} series was computed from five-minute rollups, for its "
                f"samples are more than the {self._settings.most_samples} that one query may load"
            )
        return found

    def _timestamp(self, node: Any, grid: Grid) -> Vector:
        """When a selected sample was taken; of anything else, the step."""
        if isinstance(node, tree.VectorSelector):
            vector, taken = self._instant(node, grid)
        else:
            vector = self._vector(node, grid)
            taken = np.broadcast_to(grid.times, vector.values.shape)
        return Vector(labels=vector.labels, values=taken / 1000, present=vector.present).without_name()

    def _absent(self, node: Any, grid: Grid) -> Vector:
        value = self.evaluate(node, grid)
        assert isinstance(value, Vector | Windows)
        there = value.present if isinstance(value, Vector) else value.counts > 0
        selector = node.vector_selector if isinstance(node, tree.MatrixSelector) else node
        sure = _equalities(matchers_of(selector)) if isinstance(selector, tree.VectorSelector) else {}
        one = as_vector(np.ones(grid.steps))
        return Vector(
            labels=LabelTable.of([sure]), values=one.values, present=~np.logical_or.reduce(there, axis=0, keepdims=True)
        ).compact()


def _bare(node: Any) -> Any:
    while isinstance(node, tree.ParenExpr):
        node = node.expr
    return node


def _equalities(matchers: list[Matcher]) -> dict[str, str]:
    """The labels that a series would surely have had: those with one `=` and no other condition."""
    names = [matcher.name for matcher in matchers]
    return {
        matcher.name: matcher.value
        for matcher in matchers
        if matcher.op == "=" and matcher.name != "__name__" and names.count(matcher.name) == 1
    }


def _matching(modifier: Any) -> Matching:
    if modifier is None:
        return Matching()
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise Unsupported("the modifier fill() is not supported by this agent")
    card = str(modifier.card).rpartition(".")[2]
    labels = modifier.matching
    return Matching(
        on=labels is not None and str(labels.type).endswith("Include"),
        names=tuple(labels.labels) if labels is not None else (),
        many={"ManyToOne": "left", "OneToMany": "right"}.get(card, ""),
        include=tuple(modifier.group_labels or ()),
    )
