"""What there is to ask about: series, label names, label values, and what a metric's name says of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import promql_parser as tree

from agent.promql.answer import rows_of
from agent.promql.errors import BadQuery
from agent.promql.labels import NAME
from agent.promql.parse import matchers_of, parse
from agent.promql.query import Settings
from agent.promql.source import Matcher, Selection, Source

Span = tuple[int, int]
"""Milliseconds since 1970, both ends included: only series that had samples in it are meant."""
_ALL = (Matcher(name=NAME, op="!=", value=""),)


def series(
    source: Source, selectors: Sequence[str], settings: Settings, span: Span | None = None
) -> list[dict[str, str]]:
    """The labels of every series that fits any of the selectors."""
    if not selectors:
        raise BadQuery('no match[] parameter provided: give at least one, such as match[]={__name__=~".+"}')
    found = {
        tuple(row.items()): row for each in selected(source, selectors, settings, span) for row in rows_of(each.labels)
    }
    return [found[key] for key in sorted(found)]


def label_names(source: Source, selectors: Sequence[str], settings: Settings, span: Span | None = None) -> list[str]:
    """Every label that a fitting series has."""
    found = set()
    for each in selected(source, selectors, settings, span):
        found |= {name for name, column in each.labels.columns.items() if column.codes.any()}
    return sorted(found)


def label_values(
    source: Source, name: str, selectors: Sequence[str], settings: Settings, span: Span | None = None
) -> list[str]:
    """Every value that a label has among the fitting series."""
    found: set[str] = set()
    for each in selected(source, selectors, settings, span):
        column = each.labels.columns.get(name)
        if column is not None:
            found |= {column.values[code] for code in np.unique(column.codes).tolist()}
    return sorted(found - {""})


def metadata(source: Source, metric: str, limit: int, settings: Settings) -> dict[str, list[dict[str, Any]]]:
    """By metric: its kind, as far as its name tells; neither help nor unit is stored."""
    names = set(label_values(source, NAME, (), settings))
    kinds: dict[str, str] = {}
    for name in sorted(names):
        base = name.removesuffix("_bucket")
        if base != name:
            kinds[base] = "histogram"
        elif any(name.endswith(end) and f"{name.removesuffix(end)}_bucket" in names for end in ("_sum", "_count")):
            continue
        else:
            kinds[name] = "counter" if name.endswith("_total") else "unknown"
    wanted = [name for name in sorted(kinds) if not metric or name == metric]
    return {name: [{"type": kinds[name], "help": "", "unit": ""}] for name in wanted[: limit if limit >= 0 else None]}


def selected(source: Source, selectors: Sequence[str], settings: Settings, span: Span | None) -> list[Selection]:
    """What each selector finds; all series where there is none."""
    wanted = [_matchers(text, settings) for text in selectors] or [list(_ALL)]
    found = [source.select(matchers) for matchers in wanted]
    return found if span is None else [_seen(source, each, span) for each in found]


def _seen(source: Source, selection: Selection, span: Span) -> Selection:
    rows = np.flatnonzero(source.seen(selection.ids, *span))
    return Selection(ids=selection.ids[rows], labels=selection.labels.take(rows))


def _matchers(text: str, settings: Settings) -> list[Matcher]:
    node = parse(text, settings)
    if not isinstance(node, tree.VectorSelector) or node.offset is not None or node.at is not None:
        raise BadQuery(f'invalid parameter "match[]": {text!r} is no series selector')
    return matchers_of(node)
