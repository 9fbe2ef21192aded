"""Values in the shape of Prometheus's HTTP API: `{"resultType": ..., "result": ...}`, numbers as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from agent.promql.labels import LabelTable
from agent.promql.query import Grid
from agent.promql.values import Scalar, Text, Value, Vector, Windows

Answer = dict[str, Any]
"""`resultType`, `result`, and `warnings` where there are any."""


def instant_answer(value: Value, at_ms: int) -> Answer:
    """The answer to `query`."""
    at = seconds(at_ms)
    if isinstance(value, Scalar):
        return {"resultType": "scalar", "result": [at, number(float(value.values[0]))]}
    if isinstance(value, Text):
        return {"resultType": "string", "result": [at, value.value]}
    if isinstance(value, Windows):
        return {"resultType": "matrix", "result": _matrix_of(value)}
    rows = np.flatnonzero(value.present[:, 0])
    values = value.values[rows, 0].tolist()
    metrics = rows_of(value.labels.take(rows))
    return {
        "resultType": "vector",
        "result": [{"metric": metric, "value": [at, number(one)]} for metric, one in zip(metrics, values, strict=True)],
    }


def range_series(value: Vector | Scalar, grid: Grid) -> Iterator[dict[str, Any]]:
    """The series of the answer to `query_range`, in the order of their labels, made one at a time."""
    times = [seconds(at) for at in grid.times.tolist()]
    if isinstance(value, Scalar):
        points = [[at, number(one)] for at, one in zip(times, value.values.tolist(), strict=True)]
        yield {"metric": {}, "values": points}
        return
    vector = value.compact()
    metrics = rows_of(vector.labels)
    for row in sorted(range(len(metrics)), key=lambda row: tuple(metrics[row].items())):
        steps = np.flatnonzero(vector.present[row])
        values = vector.values[row, steps].tolist()
        points = [[times[k], number(one)] for k, one in zip(steps.tolist(), values, strict=True)]
        yield {"metric": metrics[row], "values": points}


def _matrix_of(windows: Windows) -> list[Any]:
    found = []
    for metric, first, past in zip(rows_of(windows.labels), windows.first[:, 0], windows.past[:, 0], strict=True):
        if past > first:
            times, values = windows.times[first:past].tolist(), windows.values[first:past].tolist()
            points = [[seconds(at), number(one)] for at, one in zip(times, values, strict=True)]
            found.append({"metric": metric, "values": points})
    return found


def rows_of(labels: LabelTable) -> list[dict[str, str]]:
    """All rows' labels, names in order."""
    found: list[dict[str, str]] = [{} for _ in range(labels.rows)]
    for name in sorted(labels.columns):
        column = labels.columns[name]
        for row, code in enumerate(column.codes.tolist()):
            if code:
                found[row][name] = column.values[code]
    return found


def seconds(at_ms: int) -> float | int:
    """A time as Prometheus writes it: seconds, with a fraction where there is one."""
    return at_ms // 1000 if at_ms % 1000 == 0 else at_ms / 1000


def number(value: float) -> str:
    """A sample's value as text."""
    if math.isfinite(value):
        text = repr(value)
        return text[:-2] if text.endswith(".0") else text
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
