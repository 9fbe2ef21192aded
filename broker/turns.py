"""Turns of the event loop: work that may be long asks now and then whether its turn is over, and lets others go first.

One core serves everybody, and no step may take over 20 ms (law 14). A request over 3,333 partitions is not one step but
many: its handler calls `await turns.rest()` every few dozen partitions. All who ask share the turn, so that ten long
requests at once do not make ten long steps in one pass of the loop.
"""

from __future__ import annotations

import asyncio

from broker.clock import Clock

TURN_S = 0.004
"""A part of the 20 ms, since a pass of the loop also runs what does not ask."""
EVERY = 32
"""Items between two questions: a question costs as much as an item."""


class Turns:
    """Shared by everything long on one loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None

    def over(self) -> bool:
        """Whether this pass of the loop has worked long enough."""
        now = self._clock.monotonic()
        if self._began is None:
            self._began = now
            asyncio.get_running_loop().call_soon(self._next)
        return now - self._began >= TURN_S

    def _next(self) -> None:
        self._began = None

    async def rest(self) -> None:
        """Waits for the next pass when this one is over; costs a microsecond when it is not."""
        if self.over():
            await self._clock.sleep(0)
