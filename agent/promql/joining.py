"""Two vectors, matched by labels: one to one, many to one, and the set operators.

Matching is decided once for all steps, on the labels; presence at a step is a mask. A pair of series that match gives
one row, and rows whose labels come out equal are merged where they have no element in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.promql.arithmetic import ARITHMETIC, COMPARISONS, elements
from agent.promql.errors import QueryError
from agent.promql.labels import NAME, Column, LabelTable, concat, match
from agent.promql.values import Bools, Vector, empty, merged

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Matching:
    """`on (names)`, or `ignoring (names)`; and which side may have many."""

    on: bool = False
    names: tuple[str, ...] = ()
    many: str = ""
    """left (group_left), right (group_right), or empty: one to one."""
    include: tuple[str, ...] = ()
    """Labels taken from the one side."""

    def signature(self, labels: LabelTable) -> LabelTable:
        """What two series must share to match."""
        return labels.keep(self.names) if self.on else labels.drop({*self.names, NAME})


def combine(op: str, left: Vector, right: Vector, matching: Matching, *, as_bool: bool) -> Vector:
    """An arithmetic or comparison operator."""
    if not left.labels.rows or not right.labels.rows:
        return empty(left.values.shape[1])
    swapped = matching.many == "right"
    many, one = (right, left) if swapped else (left, right)
    many_group, one_group, count = match(matching.signature(many.labels), matching.signature(one.labels))
    _once(one, one_group, count, "left" if swapped else "right", np.logical_or.reduce(many.present, axis=0))
    many_rows, one_rows = _pairs(many_group, one_group)
    present = many.present[many_rows] & one.present[one_rows]
    if not matching.many:
        _one_to_one(present, many_group[many_rows], count)
    lhs, rhs = (one, many) if swapped else (many, one)
    lhs_rows, rhs_rows = (one_rows, many_rows) if swapped else (many_rows, one_rows)
    left_values, right_values = lhs.values[lhs_rows], rhs.values[rhs_rows]
    values, present = elements(op, left_values, right_values, left_values, present, as_bool=as_bool)
    labels = _result_labels(op, many.labels.take(many_rows), one.labels.take(one_rows), matching, as_bool=as_bool)
    try:
        return merged(Vector(labels=labels, values=values, present=present)).compact()
    except QueryError as error:
        raise QueryError("multiple matches for labels: grouping labels must ensure unique matches") from error


def combine_sets(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """and, or, unless."""
    left_group, right_group, count = match(matching.signature(left.labels), matching.signature(right.labels))
    steps = left.values.shape[1]
    if op == "or":
        taken = _any_in_group(left.present, left_group, count, steps)
        rest = Vector(labels=right.labels, values=right.values, present=right.present & ~taken[right_group])
        return merged(
            Vector(
                labels=concat([left.labels, rest.labels]),
                values=np.concatenate([left.values, rest.values]),
                present=np.concatenate([left.present, rest.present]),
            )
        ).compact()
    other = _any_in_group(right.present, right_group, count, steps)[left_group]
    present = left.present & (other if op == "and" else ~other)
    return Vector(labels=left.labels, values=left.values, present=present).compact()


def _any_in_group(present: Bools, group: Rows, count: int, steps: int) -> Bools:
    found = np.zeros((count, steps), dtype=np.bool_)
    np.logical_or.at(found, group, present)
    return found


def _once(one: Vector, group: Rows, count: int, side: str, wanted: Bools) -> None:
    """Refuses two elements of one match group on the side that may have one."""
    if len(group) == len(np.unique(group)):
        return
    number = np.zeros((count, one.values.shape[1]), dtype=np.int32)
    np.add.at(number, group, one.present)
    doubled = np.argwhere((number > 1) & wanted[None, :])
    if len(doubled):
        rows = np.flatnonzero((group == doubled[0][0]) & one.present[:, doubled[0][1]])
        named = ", ".join(str(one.labels.row(int(row))) for row in rows[:2])
        raise QueryError(
            f"found duplicate series for the match group on the {side} hand-side of the operation: [{named}];"
            "many-to-many matching not allowed: matching labels must be unique on one side"
        )


def _pairs(many: Rows, one: Rows) -> tuple[Rows, Rows]:
    """All (many row, one row) of equal group."""
    order = np.argsort(one, kind="stable")
    low = np.searchsorted(one[order], many, side="left")
    sizes = np.searchsorted(one[order], many, side="right") - low
    many_rows = np.repeat(np.arange(len(many)), sizes)
    within = np.arange(len(many_rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return many_rows, order[np.repeat(low, sizes) + within]


def _one_to_one(present: Bools, group: Rows, count: int) -> None:
    number = np.zeros((count, present.shape[1]), dtype=np.int32)
    np.add.at(number, group, present)
    if (number > 1).any():
        raise QueryError("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")


def _result_labels(op: str, many: LabelTable, one: LabelTable, matching: Matching, *, as_bool: bool) -> LabelTable:
    labels = many
    if op in ARITHMETIC or (op in COMPARISONS and as_bool):
        labels = labels.drop({NAME})
    if not matching.many:
        labels = labels.keep(matching.names) if matching.on else labels.drop(set(matching.names))
    for name in matching.include:
        labels = labels.with_column(name, one.columns.get(name) or Column.of([""] * one.rows))
    return labels
