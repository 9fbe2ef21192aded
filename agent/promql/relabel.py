"""label_replace and label_join."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.promql.errors import BadQuery
from agent.promql.labels import Column
from agent.promql.patterns import replace
from agent.promql.values import Vector, merged

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def label_replace(vector: Vector, target: str, template: str, source: str, pattern: str) -> Vector:
    """Where the pattern matches all of the source label, the target label becomes the filled-in template."""
    _check(target, "label_replace")
    column = vector.labels.columns.get(source) or Column.of([""] * vector.labels.rows)
    texts = replace(pattern, template, column.values)
    old = vector.labels.texts(target)
    new = [old[row] if (text := texts[code]) is None else text for row, code in enumerate(column.codes)]
    return _strict(vector, target, new)


def label_join(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """The target label becomes the source labels, joined."""
    _check(target, "label_join")
    columns = [vector.labels.texts(source) for source in sources]
    new = [separator.join(parts) for parts in zip(*columns, strict=True)] if columns else [""] * vector.labels.rows
    return _strict(vector, target, new)


def _strict(vector: Vector, target: str, texts: list[str]) -> Vector:
    labels = vector.labels.with_column(target, Column.of(texts))
    return merged(Vector(labels=labels, values=vector.values, present=vector.present))


def _check(name: str, function: str) -> None:
    if not _LABEL.fullmatch(name):
        raise BadQuery(f"invalid destination label name in {function}(): {name}")
