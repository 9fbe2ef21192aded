"""What can go wrong with what the agent keeps: each message names the file and the next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")
TRIES = 5
"""More damaged files than that in one query, found one query at a time, and the query says so."""


class StoreError(Exception):
    """The samples store cannot do what was asked."""


class FilesChanged(StoreError):
    """A query failed over files that went meanwhile or are put aside now: asked again, it is answered from the rest."""


class StateError(Exception):
    """`state.sqlite` cannot be opened, read or written: nothing may be acted on."""


def ask_again(ask: Callable[[], Answer]) -> Answer:
    """The answer, though files had to be put aside on the way to it."""
    for _ in range(TRIES - 1):
        try:
            return ask()
        except FilesChanged:
            continue
    return ask()
