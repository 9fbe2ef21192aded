"""How long requests wait at most: one look at all that wait, ten times a second while any does, since a timer for each
costs more than a small request.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

LOOK_S = 0.1
_LONGEST_WAIT_MS = 300_000


class Waiting(Protocol):
    until: float
    """In the loop's time."""
    over: bool
    """Whether it has ended."""

    def expire(self) -> None:
        """It has waited as long as its client wanted."""


class Patience:
    """Of one connection. What has ended is kept until the next look, so it should hold little by then."""

    __slots__ = ("_looking", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._looking = False

    def begin(self, waiting: Waiting, timeout_ms: int) -> None:
        loop = asyncio.get_running_loop()
        waiting.until = loop.time() + min(max(timeout_ms, 1), _LONGEST_WAIT_MS) / 1000
        self._waiting.append(waiting)
        if not self._looking:
            self._looking = True
            loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting, self._waiting = [each for each in self._waiting if not each.over], []
        for each in waiting:
            if each.until <= now:
                each.expire()
            else:
                self._waiting.append(each)
        self._looking = bool(self._waiting)
        if self._looking:
            loop.call_later(LOOK_S, self._look)
