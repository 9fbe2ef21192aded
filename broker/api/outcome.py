"""How a request went: the one code for the count of errors by API, and whether a right was missing."""

from __future__ import annotations

from typing import Any

from broker.security.access import REFUSALS

_REFUSED = frozenset(refusal.code for refusal in REFUSALS.values())


def first_error(answer: Any) -> int:
    """The error code that best tells how a request went: the answer's own, else the first of its items'."""
    if answer is None:
        return 0
    if not isinstance(answer, dict):
        return int(getattr(answer, "first_error", 0))
    if answer.get("error_code"):
        return int(answer["error_code"])
    for items in answer.values():
        if isinstance(items, list | tuple) and items and isinstance(items[0], dict) and items[0].get("error_code"):
            return int(items[0]["error_code"])
    return 0


def is_refused(answer: Any) -> bool:
    """Whether anything in it was refused for want of a right. Of its items, those that have a code of their own are not
    looked into further: a forbidden topic says so before its partitions.
    """
    if isinstance(answer, dict):
        return _code_of(answer) in _REFUSED or any(map(_has_refused, answer.values()))
    return getattr(answer, "first_error", 0) in _REFUSED


def _has_refused(items: Any) -> bool:
    if not (isinstance(items, list | tuple) and items and isinstance(items[0], dict)):
        return False
    return any(map(_is_refused_item, items))


def _is_refused_item(item: dict[str, Any]) -> bool:
    code = _code_of(item)
    return code in _REFUSED if code is not None else any(map(_has_refused, item.values()))


def _code_of(item: dict[str, Any]) -> int | None:
    """Its error code; None where it has none, or leaves it at no error."""
    code: int | None = item.get("error_code", item.get("partition_error_code"))
    return code
