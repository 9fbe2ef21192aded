"""A bandwidth budget in which the tail goes first (law 13).

One bucket of bytes for everything that a broker moves to and from its store. What the tail needs (WAL slots, uploads,
recovery) is taken at once, even into debt; catch-up readers and then compaction wait until the bucket has something
left. While records are written those two have a limit of their own besides: what they take is not only bandwidth, and
without it one reader of a local store took the core from the tail (docs/decisions/0007). One grant in `SHARE` goes to
compaction although a reader waits: without it a broker that is always read from would never tidy up. Queues are bounded
(law 12): past the bound a reader gets a retriable error.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from enum import IntEnum

from broker.clock import Clock
from broker.objects.faults import StoreUnavailable

BURST_S = 1.0
"""What an idle bucket saves up, and the deepest debt that the tail can leave to the others."""
LONGEST_QUEUE = 1024
SHARE = 10
LONGEST_NAP_S = 0.2
"""Then the limit is looked at again: it may be gone."""


class Priority(IntEnum):
    """Who goes before whom; the names in lower case label the figures."""

    TAIL = 0
    CATCH_UP = 1
    COMPACTION = 2

    @property
    def label(self) -> str:
        return self.name.lower()


class Bandwidth:
    """Shared by all users of one store. `bytes_per_s` bounds everything, `beside_tail` what is not the tail while
    `tail_busy`; None: no limit, figures only.
    """

    def __init__(self, clock: Clock, bytes_per_s: float | None = None, *, beside_tail: float | None = None) -> None:
        for rate in (bytes_per_s, beside_tail):
            if rate is not None and rate <= 0:
                raise ValueError(f"a bandwidth of {rate:g} bytes a second lets nothing through")
        self._clock = clock
        self._whole, self._beside = bytes_per_s, beside_tail
        self.tail_busy = False
        """Whether records are being written; told from outside."""
        self._left = (self._rate or 0.0) * BURST_S
        self._at = clock.monotonic()
        self._queues: dict[Priority, deque[tuple[int, asyncio.Future[None]]]] = {
            Priority.CATCH_UP: deque(),
            Priority.COMPACTION: deque(),
        }
        self._grants = 0
        self._granting: asyncio.Task[None] | None = None
        self.bytes: Counter[str] = Counter()
        """Let through, by label."""
        self.waited_s: dict[str, float] = {priority.label: 0.0 for priority in Priority}
        """Seconds waited in all, by label."""
        self.waiting: dict[str, int] = {priority.label: 0 for priority in Priority}
        """Requests that wait now, by label."""

    @property
    def _rate(self) -> float | None:
        rates = [self._whole, self._beside if self.tail_busy else None]
        return min((rate for rate in rates if rate is not None), default=None)

    async def take(self, priority: Priority, size: int) -> None:
        """Returns when `size` bytes may be moved. StoreUnavailable when too many wait already."""
        self._refill()
        if self._rate is None or priority is Priority.TAIL:
            self._spend(priority, size)
            return
        if self._left > 0 and not any(self._queues.values()):
            self._spend(priority, size)
            return
        queue = self._queues[priority]
        if len(queue) >= LONGEST_QUEUE:
            raise StoreUnavailable(f"{len(queue)} {priority.label} requests wait for --store-bandwidth already; retry")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append((size, turn))
        begun = self._clock.monotonic()
        self.waiting[priority.label] += 1
        if self._granting is None or self._granting.done():
            self._granting = asyncio.get_running_loop().create_task(self._grant())
        try:
            await turn
        finally:
            self.waiting[priority.label] -= 1
            self.waited_s[priority.label] += self._clock.monotonic() - begun

    def add(self, priority: Priority, size: int) -> None:
        """Counts bytes whose number was not known before they came."""
        self._refill()
        self._spend(priority, size)

    def _refill(self) -> None:
        now, rate = self._clock.monotonic(), self._rate
        if rate is not None:
            self._left = min(self._left + (now - self._at) * rate, rate * BURST_S)
        self._at = now

    def _spend(self, priority: Priority, size: int) -> None:
        self.bytes[priority.label] += size
        if (rate := self._rate) is not None:
            self._left = max(self._left - size, -rate * BURST_S)

    async def _grant(self) -> None:
        """Until nobody waits. A grant may leave a debt, so that one larger than the bucket gets its turn too."""
        while any(self._queues.values()):
            self._refill()
            if (rate := self._rate) is not None and self._left <= 0:
                await self._clock.sleep(min(-self._left / rate + 0.001, LONGEST_NAP_S))
                continue
            priority = self._next()
            size, turn = self._queues[priority].popleft()
            if not turn.done():
                self._grants += 1
                self._spend(priority, size)
                turn.set_result(None)

    def _next(self) -> Priority:
        waiting = [priority for priority, queue in self._queues.items() if queue]
        return waiting[-1] if self._grants % SHARE == SHARE - 1 else waiting[0]
