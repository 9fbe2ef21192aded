"""A clock whose sleepers can be sent home: waiting for fresh samples must not hold up the end of the process."""

from __future__ import annotations

import threading
from datetime import datetime

from agent.model.clock import Clock


class SentHome(Exception):
    """The process ends; what was waited for is taken up again at the next start."""


class ImpatientClock:
    """Another clock's time; `sleep` ends early, with SentHome, once `send_home` was called."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ending = threading.Event()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._ending.wait(seconds):
            raise SentHome

    def send_home(self) -> None:
        """Ends every sleep, now and from now on."""
        self._ending.set()
