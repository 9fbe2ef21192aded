"""rate and increase over ranges that are too long for samples: from five-minute rollups, added up in SQL.

Used only where the samples would be more than a query may load, and said in a warning, because it is coarser than
PromQL: a range is rounded to whole buckets and ends where the last whole bucket before the step ends. Inside that the
sum is exact: a bucket's increase is counted from the sample before it, so buckets in a row miss nothing and nothing is
extrapolated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import promql_parser as tree

from agent.promql.labels import NAME, Groups, LabelTable
from agent.promql.query import Budget
from agent.promql.source import BUCKET_MS, Grown, Selection, Source
from agent.promql.values import Ints, Vector

FUNCTIONS = frozenset({"rate", "increase"})


def rollable(node: Any) -> Any | None:
    """The call, where it is one that rollups can answer: rate or increase of a selector over five minutes or more."""
    while isinstance(node, tree.ParenExpr):
        node = node.expr
    if not isinstance(node, tree.Call) or node.func.name not in FUNCTIONS:
        return None
    inner = node.args[0]
    return node if isinstance(inner, tree.MatrixSelector) and inner.range.total_seconds() * 1000 >= BUCKET_MS else None


def alone(labels: LabelTable) -> tuple[Groups, LabelTable]:
    """Each series a group of its own, without its name."""
    rows = np.arange(labels.rows)
    return Groups(of=rows, first=rows), labels.drop({NAME})


def from_rollups(
    source: Source,
    budget: Budget,
    selection: Selection,
    groups: Groups,
    labels: LabelTable,
    ends: Ints,
    range_ms: int,
    *,
    per_second: bool,
) -> Vector | None:
    """The call's value, summed by group; None where the samples themselves can be read."""
    if len(selection.ids) * (int(ends.max() - ends.min()) + range_ms) / 1000 <= budget.left:
        return None
    buckets = max(1, (range_ms + BUCKET_MS // 2) // BUCKET_MS)
    last = ends // BUCKET_MS
    begin, past = int(last.min()) - buckets, int(last.max())
    budget.charge(groups.count * (past - begin))
    grown = source.grown(selection.ids, groups.of.astype(np.int32), begin * BUCKET_MS, (past - 1) * BUCKET_MS)
    if grown is None or int(grown.count.sum()) <= budget.left:
        return None
    increase, count = _summed(grown, groups.count, begin, past)
    low, high = last - begin - buckets, last - begin
    value = (increase[:, high] - increase[:, low]) / buckets
    scale = 1000 / BUCKET_MS if per_second else range_ms / BUCKET_MS
    return Vector(labels=labels, values=value * scale, present=count[:, high] > count[:, low])


def _summed(grown: Grown, groups: int, begin: int, past: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Running sums by group over the buckets: increase, and samples."""
    increase, count = np.zeros((groups, past - begin + 1)), np.zeros((groups, past - begin + 1), dtype=np.int64)
    place = grown.start // BUCKET_MS - begin + 1
    increase[grown.group, place] = grown.increase
    count[grown.group, place] = grown.count
    return np.cumsum(increase, axis=1), np.cumsum(count, axis=1)
