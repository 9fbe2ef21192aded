"""How long a coroutine kept the event loop to itself: the time of its steps, without its waits."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from broker.clock import Clock

Result = TypeVar("Result")


class Busy(Generic[Result]):
    """`await` it in the coroutine's place; `seconds` is what it took."""

    def __init__(self, work: Coroutine[Any, Any, Result], clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self.seconds = 0.0

    def __await__(self) -> Generator[Any, Any, Result]:
        sent: Any = None
        fault: BaseException | None = None
        while True:
            began = self._clock.monotonic()
            try:
                waits_for = self._work.send(sent) if fault is None else self._work.throw(fault)
            except StopIteration as end:
                result: Result = end.value
                return result
            finally:
                self.seconds += self._clock.monotonic() - began
            sent, fault = None, None
            try:
                sent = yield waits_for
            except BaseException as error:
                fault = error
