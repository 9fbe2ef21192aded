"""Who waits for an offset of one log to be readable: appends for their acknowledgement, and long polls."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from broker.errors import KafkaError
from broker.log.answers import Appended, Promise

SWEEP_FROM = 64


class Waiters:
    """Appends in their order, which is that of their offsets; the others in the order they came."""

    def __init__(self) -> None:
        self._appends: deque[tuple[int, Promise, int]] = deque()
        """End offset, who waits, and the base offset it is answered with."""
        self._polls: list[tuple[int, asyncio.Future[Any]]] = []
        self._sweep_at = SWEEP_FROM

    def add_append(self, end: int, promise: Promise, base: int) -> None:
        """A retry of an earlier append may wait for a later end than its own: they are acknowledged in order."""
        self._appends.append((end, promise, base))

    def add(self, offset: int, future: asyncio.Future[Any]) -> None:
        """Long polls that gave up are swept out as the list grows, so that an idle log keeps none (law 12)."""
        if len(self._polls) >= self._sweep_at:
            self._polls = [poll for poll in self._polls if not poll[1].done()]
            self._sweep_at = max(SWEEP_FROM, 2 * len(self._polls))
        self._polls.append((offset, future))

    def reached(self, end: int, log_start: int) -> None:
        """Everything below `end` may be read."""
        appends = self._appends
        while appends and appends[0][0] <= end:
            _, promise, base = appends.popleft()
            if not promise.done():
                promise.set_result(Appended(base, -1, log_start))
        if self._polls:
            reached, self._polls = self._polls, [poll for poll in self._polls if poll[0] >= end]
            for offset, future in reached:
                if offset < end and not future.done():
                    future.set_result(None)

    def refuse(self, why: KafkaError) -> None:
        appends, self._appends = self._appends, deque()
        polls, self._polls = self._polls, []
        for _, promise, _ in appends:
            refuse(promise, why)
        for _, future in polls:
            refuse(future, why)

    def __len__(self) -> int:
        return len(self._appends) + len(self._polls)


def refuse(promise: Promise, why: KafkaError) -> None:
    """Tells who waits. Nobody may: a request whose client went away, or a step that was cancelled, is no fault."""
    if not promise.done():
        promise.set_exception(why)
        promise.exception()  # or asyncio says on stderr that nobody looked
