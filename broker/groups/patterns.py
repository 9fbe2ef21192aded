"""Subscriptions by pattern."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from broker.errors import InvalidRegularExpression
from broker.patterns import compile_pattern


@lru_cache(1000)
def compiled(pattern: str) -> Any:
    """InvalidRegularExpression that says what is wrong with it."""
    try:
        return compile_pattern(pattern)
    except ValueError as error:
        raise InvalidRegularExpression(f"SubscribedTopicRegex: {error}") from error


def matching(pattern: str, names: Iterable[str]) -> frozenset[str]:
    """The names that the whole pattern matches."""
    matches = compiled(pattern).fullmatch
    return frozenset(name for name in names if matches(name) is not None)
