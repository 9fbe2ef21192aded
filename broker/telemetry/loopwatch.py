"""The longest step of the event loop: one core, never blocked for over 20 ms (law 14)."""

from __future__ import annotations

from broker.clock import Clock

_EVERY_S = 0.02
_WINDOW_S = 60.0


class LoopWatch:
    """Asks to be woken every 20 ms; what it is late by is a step of somebody else's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._longest_s = 0.0
        self._before_s = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(_EVERY_S)
            now = self._clock.monotonic()
            self._longest_s = max(self._longest_s, now - before - _EVERY_S)
            before = now
            if now - self._began >= _WINDOW_S:
                self._before_s, self._longest_s, self._began = self._longest_s, 0.0, now

    def longest_s(self) -> float:
        """The longest step of the last one to two minutes: several scrapers see the same figure."""
        return max(self._longest_s, self._before_s)
