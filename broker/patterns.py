"""Patterns that clients write: RE2, as Kafka's brokers read them, in time that is linear in what is matched.

Python's own expressions can be made to run for hours by whoever writes them.
"""

from __future__ import annotations

from typing import Any

import re2  # type: ignore[import-untyped]

_MOST_CHARACTERS = 1024
_MOST_BYTES = 1 << 20
"""Of memory for one pattern."""


def compile_pattern(text: str) -> Any:
    """ValueError that says what is wrong with it."""
    if len(text) > _MOST_CHARACTERS:
        raise ValueError(f"a pattern of {len(text)} characters: at most {_MOST_CHARACTERS} are read")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_BYTES
    try:
        return re2.compile(text, options)
    except re2.error as error:
        raise ValueError(f"{text[:64]!r} is not valid: {error}") from error
