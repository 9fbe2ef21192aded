"""Whether two answers of the query API say the same, within 1e-9."""

from __future__ import annotations

import math
from typing import Any

WITHIN = 1e-9


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """What differs, in words; empty when nothing does. Both in the shape of `data`."""
    if ours["resultType"] != theirs["resultType"]:
        return f"a {ours['resultType']} instead of a {theirs['resultType']}"
    if ours["resultType"] in {"scalar", "string"}:
        return _points([ours["result"]], [theirs["result"]])
    left, right = _by_labels(ours["result"]), _by_labels(theirs["result"])
    if left.keys() != right.keys():
        missing, extra = right.keys() - left.keys(), left.keys() - right.keys()
        return f"{len(missing)} series missing {list(missing)[:1]}, {len(extra)} too many {list(extra)[:1]}"
    for labels, series in right.items():
        found = _points(left[labels], series)
        if found:
            return f"{dict(labels)}: {found}"
    return ""


def _by_labels(result: list[dict[str, Any]]) -> dict[tuple[tuple[str, str], ...], list[Any]]:
    found = {tuple(sorted(each["metric"].items())): each.get("values", [each.get("value")]) for each in result}
    assert len(found) == len(result), "one series twice"
    return found


def _points(ours: list[Any], theirs: list[Any]) -> str:
    if len(ours) != len(theirs):
        ours_at, theirs_at = {at for at, _ in ours}, {at for at, _ in theirs}
        return f"{len(ours)} points instead of {len(theirs)}, first apart at {min(ours_at ^ theirs_at)}"
    for (at, mine), (their_at, their) in zip(ours, theirs, strict=True):
        if at != their_at or not same(mine, their):
            return f"{mine} at {at} instead of {their} at {their_at}"
    return ""


def same(ours: str, theirs: str) -> bool:
    """Two values as text."""
    a, b = float(ours), float(theirs)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= WITHIN * max(abs(a), abs(b)))
