"""Aggregations: series of one group, at each step, become one element (or some, or one per value)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from agent.promql.errors import BadQuery
from agent.promql.labels import Column, Groups, LabelTable
from agent.promql.numbers import go_float
from agent.promql.over_time import quantile_of
from agent.promql.values import Bools, Floats, Vector, merged


def grouped(labels: LabelTable, names: tuple[str, ...], *, without: bool) -> tuple[Groups, LabelTable]:
    """The groups of an aggregation, and their labels."""
    left = labels.drop({*names, "__name__"}) if without else labels.keep(names)
    groups = left.groups()
    return groups, left.take(groups.first)


def simple(op: str, vector: Vector, names: tuple[str, ...], *, without: bool) -> Vector:
    """sum, avg, min, max, count, group, stddev, stdvar."""
    groups, labels = grouped(vector.labels, names, without=without)
    order = np.argsort(groups.of, kind="stable")
    starts = np.searchsorted(groups.of[order], np.arange(groups.count))
    values, present = vector.values[order], vector.present[order]
    count = _reduce(np.add, present.astype(np.float64), starts)
    return Vector(labels=labels, values=_SIMPLE[op](values, present, starts, count), present=count > 0)


def _reduce(what: np.ufunc, values: Floats, starts: NDArray[np.intp]) -> Floats:
    if not len(starts):
        return np.zeros((0, values.shape[1]))
    result: Floats = what.reduceat(values, starts, axis=0)
    return result


def _sum(values: Floats, present: Bools, starts: NDArray[np.intp], count: Floats) -> Floats:
    return _reduce(np.add, np.where(present, values, 0.0), starts)


def _avg(values: Floats, present: Bools, starts: NDArray[np.intp], count: Floats) -> Floats:
    return _sum(values, present, starts, count) / np.maximum(count, 1)


def _min(values: Floats, present: Bools, starts: NDArray[np.intp], count: Floats) -> Floats:
    return _reduce(np.fmin, np.where(present, values, np.nan), starts)


def _max(values: Floats, present: Bools, starts: NDArray[np.intp], count: Floats) -> Floats:
    return _reduce(np.fmax, np.where(present, values, np.nan), starts)


def _stdvar(values: Floats, present: Bools, starts: NDArray[np.intp], count: Floats) -> Floats:
    """From each group's first element on, so that equal values have no variance at all."""
    n = np.maximum(count, 1)
    sizes = np.diff([*starts, len(values)])
    rows = np.arange(len(values))[:, None]
    first = _reduce(np.minimum, np.where(present, rows, len(values)), starts)
    held = np.minimum(first, len(values) - 1).astype(np.intp)
    shift = np.take_along_axis(values, held, axis=0) if len(values) else values
    off = np.where(present, values - np.repeat(shift, sizes, axis=0), 0.0)
    mean = _reduce(np.add, off, starts) / n
    off = np.where(present, off - np.repeat(mean, sizes, axis=0), 0.0)
    return _reduce(np.add, off * off, starts) / n


_SIMPLE: dict[str, Callable[[Floats, Bools, NDArray[np.intp], Floats], Floats]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "count": lambda values, present, starts, count: count,
    "group": lambda values, present, starts, count: np.ones(count.shape),
    "stdvar": _stdvar,
    "stddev": lambda values, present, starts, count: np.sqrt(_stdvar(values, present, starts, count)),
}
SIMPLE = frozenset(_SIMPLE)


def ranked(op: str, vector: Vector, k: Floats, names: tuple[str, ...], *, without: bool) -> Vector:
    """topk, bottomk: the k largest or smallest elements of each group, with all their labels."""
    groups, _ = grouped(vector.labels, names, without=without)
    keep = np.zeros(vector.present.shape, dtype=np.bool_)
    for step in range(vector.present.shape[1]):
        if np.isnan(k[step]):
            raise BadQuery(f"{op}: the parameter is NaN; give a number of series")
        most = int(np.clip(k[step], 0, 1 << 31))
        rows = np.flatnonzero(vector.present[:, step])
        if most and len(rows):
            values = vector.values[rows, step]
            order = rows[np.lexsort((values if op == "bottomk" else -values, groups.of[rows]))]
            place = np.arange(len(order)) - np.searchsorted(groups.of[order], groups.of[order])
            keep[order[place < most], step] = True
    return Vector(labels=vector.labels, values=vector.values, present=keep).compact()


def quantile(vector: Vector, wanted: Floats, names: tuple[str, ...], *, without: bool) -> Vector:
    """The quantile over each group's elements."""
    groups, labels = grouped(vector.labels, names, without=without)
    values = np.zeros((groups.count, vector.values.shape[1]))
    present = np.zeros(values.shape, dtype=np.bool_)
    for group in range(groups.count):
        rows = groups.of == group
        here, some = vector.values[rows], vector.present[rows]
        present[group] = some.any(axis=0)
        for step in np.flatnonzero(present[group]):
            values[group, step] = quantile_of(float(wanted[step]), here[some[:, step], step])
    return Vector(labels=labels, values=values, present=present)


def count_values(vector: Vector, label: str, names: tuple[str, ...], *, without: bool) -> Vector:
    """How many elements of each group have each value; the value becomes a label."""
    groups, labels = grouped(vector.labels, names, without=without)
    rows, steps = np.nonzero(vector.present)
    distinct, which = np.unique(vector.values[rows, steps], return_inverse=True)
    key = groups.of[rows] * max(len(distinct), 1) + which
    pairs, place = np.unique(key, return_inverse=True)
    count = np.zeros((len(pairs), vector.values.shape[1]))
    np.add.at(count, (place, steps), 1.0)
    base = labels.take(pairs // max(len(distinct), 1))
    column = Column.of([go_float(float(distinct[each % len(distinct)])) for each in pairs])
    return merged(Vector(labels=base.with_column(label, column), values=count, present=count > 0))
