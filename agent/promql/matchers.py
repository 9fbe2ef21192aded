"""Matchers on a table of labels: each distinct text is looked at once, the rows follow by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.promql.labels import LabelTable
from agent.promql.patterns import full_match
from agent.promql.source import Matcher


def matching_rows(table: LabelTable, matchers: Sequence[Matcher]) -> NDArray[np.intp]:
    """The rows that meet all conditions; a label that is absent is the empty text."""
    mask = np.ones(table.rows, dtype=np.bool_)
    for matcher in matchers:
        column = table.columns.get(matcher.name)
        if column is None:
            if not _accepts(matcher, ("",))[0]:
                return np.empty(0, dtype=np.intp)
            continue
        mask &= _accepts(matcher, column.values)[column.codes]
    return np.flatnonzero(mask)


def accepts(matcher: Matcher, text: str) -> bool:
    """Whether one text meets the condition."""
    return bool(_accepts(matcher, (text,))[0])


def _accepts(matcher: Matcher, texts: Sequence[str]) -> NDArray[np.bool_]:
    if matcher.op in ("=", "!="):
        equal = np.array([text == matcher.value for text in texts], dtype=np.bool_)
        return equal if matcher.op == "=" else ~equal
    found = np.array(full_match(f"(?s:{matcher.value})", texts), dtype=np.bool_)
    return found if matcher.op == "=~" else ~found
