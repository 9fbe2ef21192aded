"""How a request went, in one code: for the count of errors by API."""

from __future__ import annotations

from typing import Any


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
