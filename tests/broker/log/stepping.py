"""A broker that can be stopped dead between any two of its durable effects, and a clock that is wound by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from broker.clock import SystemClock
from broker.objects.layout import Blob

Result = TypeVar("Result")
_counted: ContextVar[bool] = ContextVar("counted", default=False)


class WoundClock(SystemClock):
    """The machine's clock, further on by what `wind` was told."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wind(self, seconds: float) -> None:
        self.ahead_s += seconds

    def wall_ms(self) -> int:
        return super().wall_ms() + int(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class Steps:
    """Counts PUTs, DELETEs and transactions of the work given to `run`; before number `stop_at` everything stands
    still, for ever, as after kill -9.
    """

    def __init__(self, stop_at: int) -> None:
        self.taken = 0
        self._stop_at = stop_at
        self._stopped = asyncio.Event()

    async def effect(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if _counted.get():
            self.taken += 1
            if self.taken >= self._stop_at:
                self._stopped.set()
        if self._stopped.is_set():
            await asyncio.get_running_loop().create_future()
        return await work()

    async def run(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the work was stopped on its way."""

        async def counted() -> None:
            _counted.set(True)
            await work()

        doing = asyncio.create_task(counted())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait([doing, stopped], return_when=asyncio.FIRST_COMPLETED)
            if not self._stopped.is_set():
                await doing
            return self._stopped.is_set()
        finally:
            for task in (doing, stopped):
                task.cancel()
            await asyncio.gather(doing, stopped, return_exceptions=True)


class SteppingBackend:
    """A store's backend under `Steps`."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def put(self, key: str, data: Blob, *, create: bool) -> None:
        await self._steps.effect(lambda: self._inner.put(key, data, create=create))

    async def put_parts(self, key: str, data: Blob) -> None:
        await self._steps.effect(lambda: self._inner.put_parts(key, data))

    async def delete(self, key: str) -> None:
        await self._steps.effect(lambda: self._inner.delete(key))


class SteppingDatabase:
    """A metadata database under `Steps`."""

    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Any) -> Any:
        return await self._steps.effect(lambda: self._inner.write(work))

    async def write_together(self, work: Any, item: Any) -> None:
        await self._steps.effect(lambda: self._inner.write_together(work, item))
