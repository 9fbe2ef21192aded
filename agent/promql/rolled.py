"""Functions over ranges that are too long for samples: from five-minute rollups, added up in SQL.

Used only where the samples would be more than a query may load, and said in a warning, because it is coarser than
PromQL: a range ends where the last whole bucket before the step ends, a bucket holds its left edge and not its right
one, and NaN and infinite samples are not in it. `rate` and `increase` take ranges of five minutes or more, rounded to
whole buckets; inside that the sum is exact: a bucket's increase is counted from the sample before it, so buckets in a
row miss nothing and nothing is extrapolated. The `*_over_time` take ranges that are whole buckets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import promql_parser as tree
from numpy.typing import NDArray

from agent.promql.labels import NAME, Groups, LabelTable
from agent.promql.query import Budget
from agent.promql.source import BUCKET_MS, Grown, Measure, Selection, Source
from agent.promql.values import Bools, Floats, Ints, Vector


@dataclass(frozen=True, kw_only=True)
class Rolled:
    """How a function is computed from buckets."""

    measure: Measure
    within: str
    """The aggregation that may be made of it bucket by bucket, in SQL."""


FUNCTIONS: Mapping[str, Rolled] = MappingProxyType(
    {
        "rate": Rolled(measure="increase", within="sum"),
        "increase": Rolled(measure="increase", within="sum"),
        "sum_over_time": Rolled(measure="sum", within="sum"),
        "count_over_time": Rolled(measure="sum", within="sum"),
        "avg_over_time": Rolled(measure="sum", within=""),
        "present_over_time": Rolled(measure="sum", within=""),
        "min_over_time": Rolled(measure="low", within="min"),
        "max_over_time": Rolled(measure="high", within="max"),
        "last_over_time": Rolled(measure="last", within=""),
    }
)
_ROUNDED = frozenset({"rate", "increase"})


def rollable(node: Any, within: str) -> Any | None:
    """The call, where it is one that rollups can answer: by itself, or inside the aggregation `within`."""
    while isinstance(node, tree.ParenExpr):
        node = node.expr
    if not isinstance(node, tree.Call) or node.func.name not in FUNCTIONS:
        return None
    inner = node.args[0]
    if not isinstance(inner, tree.MatrixSelector) or (within and FUNCTIONS[node.func.name].within != within):
        return None
    range_ms = int(inner.range.total_seconds() * 1000)
    whole = range_ms % BUCKET_MS == 0 or node.func.name in _ROUNDED
    return node if range_ms >= BUCKET_MS and whole else None


def alone(labels: LabelTable, function: str) -> tuple[Groups, LabelTable]:
    """Each series a group of its own, without its name where the function drops it."""
    rows = np.arange(labels.rows)
    return Groups(of=rows, first=rows), labels if function == "last_over_time" else labels.drop({NAME})


def from_rollups(
    source: Source,
    budget: Budget,
    selection: Selection,
    groups: Groups,
    labels: LabelTable,
    ends: Ints,
    range_ms: int,
    *,
    function: str,
) -> Vector | None:
    """The call's value, made one by group; None where the samples themselves can be read."""
    if len(selection.ids) * (int(ends.max() - ends.min()) + range_ms) / 1000 <= budget.left:
        return None
    width = max(1, (range_ms + BUCKET_MS // 2) // BUCKET_MS)
    past = ends // BUCKET_MS
    begin, until = int(past.min()) - width, int(past.max())
    budget.charge(groups.count * (until - begin))
    grown = source.grown(
        selection.ids,
        groups.of.astype(np.int32),
        begin * BUCKET_MS,
        (until - 1) * BUCKET_MS,
        FUNCTIONS[function].measure,
    )
    budget.warnings += source.lost(begin * BUCKET_MS, until * BUCKET_MS - 1, rolled=True)
    if grown is None or int(grown.count.sum()) <= budget.left:
        return None
    table = _Table.of(grown, groups.count, begin, until)
    low, high = past - begin - width, past - begin
    count = table.added(table.count, low, high)
    return Vector(labels=labels, values=_value(function, table, low, high, count, range_ms), present=count > 0)


def _value(function: str, table: _Table, low: Ints, high: Ints, count: Floats, range_ms: int) -> Floats:
    """The function over the buckets low:high of each step."""
    if function == "min_over_time":
        return table.best(low, high, np.fmin)
    if function == "max_over_time":
        return table.best(low, high, np.fmax)
    if function == "last_over_time":
        return table.newest(high)
    if function == "count_over_time":
        return count
    if function == "present_over_time":
        return np.ones(count.shape)
    total = table.added(table.value, low, high)
    if function == "sum_over_time":
        return total
    if function == "avg_over_time":
        return total / np.maximum(count, 1)
    per_bucket = total / (high - low)
    return per_bucket * (1000 / BUCKET_MS if function == "rate" else range_ms / BUCKET_MS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Table:
    """Buckets of groups: (group, bucket); no samples, no value."""

    value: Floats
    count: Floats

    @staticmethod
    def of(grown: Grown, groups: int, begin: int, until: int) -> _Table:
        value, count = np.full((groups, until - begin), np.nan), np.zeros((groups, until - begin))
        place = grown.start // BUCKET_MS - begin
        value[grown.group, place] = grown.value
        count[grown.group, place] = grown.count
        return _Table(value=value, count=count)

    def added(self, what: Floats, low: Ints, high: Ints) -> Floats:
        """Sums of the buckets low:high."""
        running = np.zeros((what.shape[0], what.shape[1] + 1))
        np.cumsum(np.nan_to_num(what), axis=1, out=running[:, 1:])
        found: Floats = running[:, high] - running[:, low]
        return found

    def best(self, low: Ints, high: Ints, better: np.ufunc) -> Floats:
        """The lowest or highest of the buckets low:high, all of one width: of two powers of two that cover them."""
        width, span, best = int(high[0] - low[0]), 1, self.value
        while span * 2 <= width:
            best, span = better(best[:, :-span], best[:, span:]), span * 2
        found: Floats = better(best[:, low], best[:, high - span])
        return found

    def newest(self, high: Ints) -> Floats:
        """The value of the last bucket before `high` that has one."""
        there: Bools = self.count > 0
        place: NDArray[np.intp] = np.where(there, np.arange(self.value.shape[1]), 0)
        held = np.maximum.accumulate(place, axis=1)[:, high - 1]
        found: Floats = np.take_along_axis(self.value, held, axis=1)
        return found
