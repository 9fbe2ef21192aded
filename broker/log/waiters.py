"""Who waits for an offset of one log to be readable: long polls, and appends for their acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from broker.errors import KafkaError

SWEEP_FROM = 64
Waiter = tuple[int, asyncio.Future[Any], int | None]
"""Offset, who waits for it to be readable, and for an append the base offset it is answered with."""


class Waiters:
    """In the order they came."""

    def __init__(self) -> None:
        self._waiting: list[Waiter] = []
        self._sweep_at = SWEEP_FROM

    def add(self, offset: int, future: asyncio.Future[Any], base: int | None = None) -> None:
        """Long polls that gave up are swept out as the list grows, so that an idle log keeps none (law 12)."""
        if len(self._waiting) >= self._sweep_at:
            self._waiting = [waiter for waiter in self._waiting if not waiter[1].done()]
            self._sweep_at = max(SWEEP_FROM, 2 * len(self._waiting))
        self._waiting.append((offset, future, base))

    def reached(self, end: int, answer: Callable[[int], object]) -> None:
        """Everything below `end` may be read: appends get `answer` of their base offset, the others nothing."""
        if not self._waiting:
            return
        waiting: list[Waiter] = []
        for waiter in self._waiting:
            offset, future, base = waiter
            if offset >= end:
                waiting.append(waiter)
            elif not future.done():
                future.set_result(None if base is None else answer(base))
        self._waiting = waiting

    def refuse(self, why: KafkaError) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future, _ in waiting:
            refuse(future, why)

    def __len__(self) -> int:
        return len(self._waiting)


def refuse(future: asyncio.Future[Any], why: KafkaError) -> None:
    """Tells who waits. Nobody may: a request whose client went away, or a step that was cancelled, is no fault."""
    if not future.done():
        future.set_exception(why)
        future.exception()  # or asyncio says on stderr that nobody looked


def follow(first: asyncio.Future[Any], second: asyncio.Future[Any]) -> None:
    """Gives the outcome of the first to the second."""

    def pass_on(done: asyncio.Future[Any]) -> None:
        if second.done() or done.cancelled():
            return
        if (error := done.exception()) is not None:
            second.set_exception(error)
        else:
            second.set_result(done.result())

    first.add_done_callback(pass_on)
