"""Figures that a busy machine can spoil: what is asserted of them must hold in one of three tries.

What is too slow by itself is so in each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

TRIES = 3


def in_one_of_three(attempt: Callable[[], object]) -> None:
    """Calls it until it raises no AssertionError; the last one's is raised."""
    for _ in range(TRIES - 1):
        try:
            attempt()
        except AssertionError:
            continue
        return
    attempt()


async def awaited_in_one_of_three(attempt: Callable[[], Awaitable[object]]) -> None:
    """The same for what is awaited."""
    for _ in range(TRIES - 1):
        try:
            await attempt()
        except AssertionError:
            continue
        return
    await attempt()
