"""The functions by name, on arguments that are evaluated already. What is not in the table is refused by its name.

`timestamp`, `absent` and `absent_over_time` look at how their argument is written and are the evaluator's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.promql import elementwise, over_time, rates, relabel
from agent.promql.histogram import histogram_quantile
from agent.promql.labels import NAME, LabelTable
from agent.promql.query import Edge, Grid
from agent.promql.values import Bools, Floats, Scalar, Text, Value, Vector, Windows, empty, merged


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One call: its arguments, the steps, and the settings that functions depend on."""

    args: list[Value]
    grid: Grid
    edge: Edge
    check: Callable[[], None]

    def vector(self, number: int) -> Vector:
        """The argument; a missing one is `vector(time())`."""
        if number >= len(self.args):
            return as_vector(self.grid.times / 1000)
        found = self.args[number]
        assert isinstance(found, Vector)
        return found

    def windows(self, number: int) -> Windows:
        found = self.args[number]
        assert isinstance(found, Windows)
        return found

    def scalar(self, number: int, default: float = np.nan) -> Floats:
        """One number a step."""
        if number >= len(self.args):
            return np.full(self.grid.steps, default)
        found = self.args[number]
        assert isinstance(found, Scalar)
        return found.values

    def text(self, number: int) -> str:
        found = self.args[number]
        assert isinstance(found, Text)
        return found.value


Function = Callable[[Call], Value]


def as_vector(values: Floats) -> Vector:
    """One element without labels at each step."""
    return Vector(
        labels=LabelTable(rows=1, columns={}),
        values=values[None, :].copy(),
        present=np.ones((1, len(values)), dtype=np.bool_),
    )


def _mapped(vector: Vector, values: Floats) -> Vector:
    return Vector(labels=vector.labels, values=values, present=vector.present).without_name()


def _elementwise(what: Callable[[Floats], Floats]) -> Function:
    def call(call: Call) -> Vector:
        vector = call.vector(0)
        return _mapped(vector, what(vector.values))

    return call


def _of_range(
    what: Callable[..., tuple[Floats, Bools]], *, extra: Callable[[Call], tuple[Any, ...]], at: int = 0
) -> Function:
    def call(call: Call) -> Vector:
        windows = call.windows(at)
        if not windows.labels.rows:
            return empty(call.grid.steps)
        values, present = what(windows, *extra(call))
        labels = windows.labels if what is over_time.last_over_time else windows.labels.drop({NAME})
        return merged(Vector(labels=labels, values=values, present=present)).compact()

    return call


def _clamp(call: Call) -> Vector:
    vector, low, high = call.vector(0), call.scalar(1), call.scalar(2)
    kept = Vector(labels=vector.labels, values=vector.values, present=vector.present & ~(high < low)[None, :])
    return _mapped(kept.compact(), np.maximum(low[None, :], np.minimum(high[None, :], kept.compact().values)))


def _round(call: Call) -> Vector:
    vector = call.vector(0)
    return _mapped(vector, elementwise.rounded(vector.values, call.scalar(1, 1.0)[None, :]))


def _scalar(call: Call) -> Scalar:
    vector = call.vector(0)
    if not vector.labels.rows:
        return Scalar(values=np.full(call.grid.steps, np.nan))
    row = vector.present.argmax(axis=0)
    one = vector.present.sum(axis=0) == 1
    return Scalar(values=np.where(one, vector.values[row, np.arange(call.grid.steps)], np.nan))


def _sorted(sign: float) -> Function:
    """By the first step's value; NaN last. Ranges have no order to show."""

    def call(call: Call) -> Vector:
        vector = call.vector(0)
        return vector.take(np.argsort(sign * vector.values[:, 0], kind="stable")) if call.grid.steps == 1 else vector

    return call


FUNCTIONS: dict[str, Function] = {
    **{name: _elementwise(what) for name, what in elementwise.MATHS.items()},
    **{name: _elementwise(what) for name, what in elementwise.CALENDAR.items()},
    **{
        name: _of_range(what, extra=lambda call: (call.edge,))
        for name, what in (("rate", rates.rate), ("increase", rates.increase), ("delta", rates.delta))
    },
    **{
        name: _of_range(what, extra=lambda call: ())
        for name, what in (
            ("irate", rates.irate),
            ("idelta", rates.idelta),
            ("resets", rates.resets),
            ("changes", rates.changes),
        )
    },
    **{
        name: _of_range(what, extra=lambda call: (call.check,))
        for name, what in (
            ("sum_over_time", over_time.sum_over_time),
            ("avg_over_time", over_time.avg_over_time),
            ("min_over_time", over_time.min_over_time),
            ("max_over_time", over_time.max_over_time),
            ("count_over_time", over_time.count_over_time),
            ("present_over_time", over_time.present_over_time),
            ("last_over_time", over_time.last_over_time),
            ("stddev_over_time", over_time.stddev_over_time),
            ("stdvar_over_time", over_time.stdvar_over_time),
            ("deriv", over_time.deriv),
        )
    },
    "quantile_over_time": _of_range(
        over_time.quantile_over_time, extra=lambda call: (call.check, call.scalar(0)), at=1
    ),
    "predict_linear": _of_range(
        over_time.predict_linear, extra=lambda call: (call.check, call.scalar(1), call.grid.times)
    ),
    "clamp": _clamp,
    "clamp_min": lambda call: _mapped(call.vector(0), np.maximum(call.vector(0).values, call.scalar(1)[None, :])),
    "clamp_max": lambda call: _mapped(call.vector(0), np.minimum(call.vector(0).values, call.scalar(1)[None, :])),
    "round": _round,
    "histogram_quantile": lambda call: histogram_quantile(call.vector(1), call.scalar(0)),
    "label_replace": lambda call: relabel.label_replace(call.vector(0), *(call.text(n) for n in range(1, 5))),
    "label_join": lambda call: relabel.label_join(
        call.vector(0), call.text(1), call.text(2), [call.text(n) for n in range(3, len(call.args))]
    ),
    "pi": lambda call: Scalar(values=np.full(call.grid.steps, np.pi)),
    "time": lambda call: Scalar(values=call.grid.times / 1000),
    "scalar": _scalar,
    "vector": lambda call: as_vector(call.scalar(0)),
    "sort": _sorted(1.0),
    "sort_desc": _sorted(-1.0),
}
SYNTACTIC = frozenset({"timestamp", "absent", "absent_over_time"})
"""Evaluated where their argument's text is at hand."""
SUPPORTED = frozenset(FUNCTIONS) | SYNTACTIC
