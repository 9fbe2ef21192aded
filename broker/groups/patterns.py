"""Subscriptions by pattern: RE2, as Kafka's brokers read them, in time that is linear in what is matched.

Python's own expressions can be made to run for hours by a client that writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from broker.errors import InvalidRegularExpression

_MOST_CHARACTERS = 1024
_MOST_BYTES = 1 << 20
"""Of memory for one pattern."""


@lru_cache(1000)
def compiled(pattern: str) -> Any:
    """InvalidRegularExpression that says what is wrong with it."""
    if len(pattern) > _MOST_CHARACTERS:
        raise InvalidRegularExpression(f"a pattern of {len(pattern)} characters: at most {_MOST_CHARACTERS} are read")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_BYTES
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise InvalidRegularExpression(f"SubscribedTopicRegex {pattern[:64]!r} is not valid: {error}") from error


def matching(pattern: str, names: Iterable[str]) -> frozenset[str]:
    """The names that the whole pattern matches."""
    matches = compiled(pattern).fullmatch
    return frozenset(name for name in names if matches(name) is not None)
