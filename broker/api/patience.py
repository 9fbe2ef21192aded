"""How long requests wait at most: one look at all that wait, ten times a second while any does, since a timer for each
costs more than a small request.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

LOOK_S = 0.1
_LONGEST_WAIT_MS = 300_000


class Waiting(Protocol):
    def expire(self) -> None:
        """It has waited as long as its client wanted."""


class Patience:
    """Of one connection. What waits is forgotten when it ends, or expires."""

    __slots__ = ("_looking", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, dict[Waiting, float]] = {}
        """By milliseconds of patience, so that each is in the order of its end."""
        self._looking: asyncio.TimerHandle | None = None

    def begin(self, waiting: Waiting, timeout_ms: int) -> None:
        loop = asyncio.get_running_loop()
        patience_ms = min(max(timeout_ms, 1), _LONGEST_WAIT_MS)
        self._waiting.setdefault(patience_ms, {})[waiting] = loop.time() + patience_ms / 1000
        if self._looking is None:
            self._looking = loop.call_later(LOOK_S, self._look)

    def end(self, waiting: Waiting) -> None:
        """It waits no more."""
        for each in self._waiting.values():
            if each.pop(waiting, None) is not None:
                return

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        over: list[Waiting] = []
        for each in self._waiting.values():
            for waiting, until in each.items():
                if until > now:
                    break
                over.append(waiting)
        self._looking = None
        for waiting in over:
            self.end(waiting)
            waiting.expire()
        self._waiting = {patience_ms: each for patience_ms, each in self._waiting.items() if each}
        if self._waiting and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_S, self._look)
