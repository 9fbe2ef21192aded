"""The object store as the broker uses it: every operation metered, retried and within its share of the bandwidth.

1. `put` returns after the object is durable (backends; law 1).
2. `put` with `create=True` fails with Exists when the key is there, on every kind; nothing rests on e-tags. Exists may
   also stand for an earlier try of the same call whose answer was lost: who needs to know reads the object back.
3. Nothing waits for ever: a try has a time of its own, by its size, and an operation has a deadline over all its tries,
   which wait in between with full jitter. A try that took too long gets twice the time the next time: a slow line is
   not an absent store.
4. An answer that is shorter than asked for, or that `check` refuses, is a failed try.
5. A list may be stale: it finds work, and never proves that something is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from broker.clock import Clock
from broker.objects.backend import PART_BYTES, Backend, Listed, ObstoreBackend
from broker.objects.budget import Bandwidth, Priority
from broker.objects.faults import BadStore, Damaged, Exists, Missing, StoreUnavailable, final, first_line, status_of
from broker.objects.layout import Blob
from broker.objects.meter import Meter

__all__ = [
    "BadStore",
    "Exists",
    "Meter",
    "Missing",
    "ObjectStore",
    "ObstoreBackend",
    "Priority",
    "Rng",
    "StoreUnavailable",
]

Result = TypeVar("Result")

TRIES = 10
TRIES_OF_DAMAGED = 4
"""Bytes that are wrong again and again are wrong in the store."""
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0
DEADLINE_S = 30.0
"""For an operation of a small object, all tries together; large ones get their own time on top."""
SLOWEST_BYTES_PER_S = 2 * 1024 * 1024
"""What a first try has to do at least."""
PATIENCE = 8
"""The deadline of a large operation, in first tries."""
MULTIPART_BYTES = 16 * 1024 * 1024
"""From this size on an object goes up in parts."""
PAGE_KEYS = 1000
"""What S3 lists at a time."""


class Rng(Protocol):
    """Randomness, handed in: a `random.Random` made at the edge."""

    def uniform(self, a: float, b: float) -> float: ...


@dataclass(frozen=True, kw_only=True)
class _Request:
    """One operation, as it is metered and bounded."""

    operation: str
    key: str
    sent: int = 0
    expected: int = 0
    """Bytes that should come back, where that is known."""
    requests: int = 1


class ObjectStore:
    """`at` gives the same store at another priority: one backend, one meter, one budget."""

    def __init__(
        self,
        url: str,
        backend: Backend,
        clock: Clock,
        rng: Rng,
        *,
        bandwidth: Bandwidth | None = None,
        meter: Meter | None = None,
        priority: Priority = Priority.TAIL,
    ) -> None:
        self.url = url
        self.meter = meter or Meter()
        self.bandwidth = bandwidth or Bandwidth(clock)
        self._backend = backend
        self._clock = clock
        self._rng = rng
        self._priority = priority

    def at(self, priority: Priority) -> ObjectStore:
        """The same store, for work of another urgency (law 13)."""
        return ObjectStore(
            self.url,
            self._backend,
            self._clock,
            self._rng,
            bandwidth=self.bandwidth,
            meter=self.meter,
            priority=priority,
        )

    async def put(self, key: str, data: bytes | Blob, *, create: bool = False) -> None:
        """Durable when it returns. Exists when `create` and the key is taken. Large ones go in parts, unseen until the
        last; never those with `create`, since not every store has a condition for that.
        """
        blob = data if isinstance(data, Blob) else Blob(pieces=(data,), size_bytes=len(data))
        request = _Request(operation="put", key=key, sent=blob.size_bytes)
        if not create and self.in_parts(blob.size_bytes):
            parts = -(-blob.size_bytes // PART_BYTES)
            several = replace(request, operation="multipart", requests=parts + 2)
            await self._do(several, lambda: self._backend.put_parts(key, blob))
        else:
            await self._do(request, lambda: self._backend.put(key, blob, create=create))

    def in_parts(self, size: int) -> bool:
        """Whether an object of that size goes up in parts here."""
        return self._backend.multipart and size >= MULTIPART_BYTES

    async def get(self, key: str) -> bytes:
        """The whole object. Missing when there is none."""
        return await self._got(_Request(operation="get", key=key), lambda: self._backend.get(key))

    async def get_range(
        self, key: str, start: int, length: int, *, check: Callable[[bytes], None] = lambda data: None
    ) -> bytes:
        """Exactly `length` bytes that passed `check` (which raises Damaged). Damaged when there are never so many."""

        async def work() -> bytes:
            data = await self._backend.get_range(key, start, length)
            if len(data) != length:
                raise Damaged(f"{key}: {len(data)} of {length} bytes came from {start} on")
            check(data)
            return data

        return await self._got(_Request(operation="get", key=key, expected=length), work)

    async def head(self, key: str) -> int:
        """The size in bytes; Missing when there is no such object."""
        return await self._do(_Request(operation="head", key=key), lambda: self._backend.head(key))

    async def delete(self, key: str) -> None:
        """Gone when it returns, also when it was not there."""
        try:
            await self._do(_Request(operation="delete", key=key), lambda: self._backend.delete(key))
        except Missing:
            return

    async def pages(self, prefix: str, *, after: str = "", keys: int = PAGE_KEYS) -> AsyncIterator[Sequence[Listed]]:
        """(key, size) under `prefix` in order of key, a page at a time; each page is retried by itself."""
        while True:
            page = await self._do(
                _Request(operation="list", key=prefix), partial(self._backend.page, prefix, after, keys)
            )
            if page and page[-1][0] <= after:
                raise Damaged(f"{self.url} lists {prefix} in circles: {page[-1][0]} comes after {after}")
            if page:
                yield page
            if len(page) < keys:
                return
            after = page[-1][0]

    async def list(self, prefix: str) -> list[Listed]:
        """Everything under a prefix that is known to hold little."""
        return [item async for page in self.pages(prefix) for item in page]

    async def _got(self, request: _Request, work: Callable[[], Awaitable[bytes]]) -> bytes:
        data = await self._do(request, work)
        self.meter.bytes[request.operation, "in"] += len(data)
        if not request.expected:
            self.bandwidth.add(self._priority, len(data))
        return data

    async def _do(self, request: _Request, work: Callable[[], Awaitable[Result]]) -> Result:
        begun = self._clock.monotonic()
        try_s = self._backend.patience_s + (request.sent + request.expected) / SLOWEST_BYTES_PER_S
        deadline = begun + max(DEADLINE_S, PATIENCE * try_s - PATIENCE * self._backend.patience_s)
        for attempt in range(TRIES):
            await self.bandwidth.take(self._priority, request.sent + request.expected)
            tried = self._clock.monotonic()
            try:
                async with asyncio.timeout(try_s):
                    result = await work()
            except Exception as error:
                known = final(error, request.key)
                self.meter.count(request.operation, status_of(known), self._clock.monotonic() - tried, request.requests)
                if known is not None:
                    raise known from error
                try_s *= 2 if isinstance(error, TimeoutError) else 1
                wait_s = self._rng.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt))
                tries = TRIES_OF_DAMAGED if isinstance(error, Damaged) else TRIES
                if attempt + 1 >= tries or self._clock.monotonic() + wait_s > deadline:
                    raise self._given_up(request, attempt + 1, try_s, error) from error
                await self._clock.sleep(wait_s)
            else:
                self.meter.count(request.operation, "ok", self._clock.monotonic() - tried, request.requests)
                if request.sent:
                    self.meter.bytes[request.operation, "out"] += request.sent
                return result
        raise AssertionError("unreachable: the last try returns or raises")

    def _given_up(self, request: _Request, tries: int, try_s: float, error: Exception) -> Exception:
        if isinstance(error, Damaged):
            return error
        why = f"no answer within {try_s:g} s" if isinstance(error, TimeoutError) else first_line(error)
        return StoreUnavailable(f"{request.operation} {request.key} at {self.url} failed {tries} times: {why}")
