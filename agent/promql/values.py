"""What an expression evaluates to, for all steps of a query at once: rows are series, columns are steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.promql.errors import QueryError
from agent.promql.labels import NAME, LabelTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scalar:
    """One number a step."""

    values: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Vector:
    """An instant vector at each step: `values` and `present` are (series, steps)."""

    labels: LabelTable
    values: Floats
    present: Bools
    """Where the series has an element; NaN is a value."""

    def without_name(self) -> Vector:
        """The metric name dropped, as most operations do; series that become equal are one."""
        if NAME not in self.labels.columns:
            return self
        return merged(Vector(labels=self.labels.drop({NAME}), values=self.values, present=self.present))

    def take(self, rows: NDArray[np.intp]) -> Vector:
        return Vector(labels=self.labels.take(rows), values=self.values[rows], present=self.present[rows])

    def compact(self) -> Vector:
        """Without the series that have no element at any step."""
        some = self.present.any(axis=1)
        return self if some.all() else self.take(np.flatnonzero(some))


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """A range vector at each step: the samples `first[s, t]:past[s, t]` of the flat columns, oldest first."""

    labels: LabelTable
    times: Ints
    """Milliseconds."""
    values: Floats
    first: NDArray[np.intp]
    past: NDArray[np.intp]
    ends: Ints
    """Where each step's range ends, after `@` and `offset`."""
    range_ms: int

    @property
    def counts(self) -> NDArray[np.intp]:
        return self.past - self.first


Value = Scalar | Text | Vector | Windows


def empty(steps: int) -> Vector:
    """A vector of no series."""
    return Vector(
        labels=LabelTable(rows=0, columns={}),
        values=np.empty((0, steps)),
        present=np.zeros((0, steps), dtype=np.bool_),
    )


def merged(vector: Vector) -> Vector:
    """Rows with equal labels made one; an error where two of them have an element at one step."""
    groups = vector.labels.groups()
    if groups.count == vector.labels.rows:
        return vector
    steps = vector.values.shape[1]
    count = np.zeros((groups.count, steps), dtype=np.int32)
    np.add.at(count, groups.of, vector.present)
    if (count > 1).any():
        raise QueryError("vector cannot contain metrics with the same labelset")
    values = np.zeros((groups.count, steps))
    rows, columns = np.nonzero(vector.present)
    values[groups.of[rows], columns] = vector.values[rows, columns]
    return Vector(labels=vector.labels.take(groups.first), values=values, present=count > 0)
