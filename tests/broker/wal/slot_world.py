"""The world around an object WAL, in a test's hand: a store that misbehaves on request, and the metadata's word."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import obstore

from broker.clock import SystemClock
from broker.objects import ObjectStore
from broker.objects.layout import Blob
from broker.objects.store import Exists, ObstoreBackend
from broker.wal.base import Entry, SlotNeeds
from broker.wal.slots import ObjectWal

Effect = Callable[[], Awaitable[None]]


class QuickClock(SystemClock):
    """Waits a thousandth of what it is asked to, so that retries take no time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 1000)


class HandClock(SystemClock):
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._moved = asyncio.Condition()

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        due = self.now + seconds
        async with self._moved:
            await self._moved.wait_for(lambda: self.now >= due)

    async def wind(self, seconds: float) -> None:
        """Moves on, and lets everybody do what was due."""
        self.now += seconds
        async with self._moved:
            self._moved.notify_all()
        await asyncio.sleep(0.02)


class Store(ObstoreBackend):
    """Memory, and `faults` for the next PUTs, one word each:

    ok           as it should be
    503          no effect
    answer lost  takes effect, and then the connection breaks
    412          no effect, and "the key is taken" for an answer
    late         the connection breaks, and `late[n]()` lets it take effect
    held         waits until `release` is set
    """

    patience_s = 60.0

    def __init__(self) -> None:
        super().__init__(obstore.store.MemoryStore())
        self.faults: list[str] = []
        self.away = False
        self.late: list[Effect] = []
        self.release = asyncio.Event()
        self.puts: list[str] = []
        self.cut_short = 0
        """So many of the next GETs give half of the object."""

    async def put(self, key: str, data: Blob, *, create: bool) -> None:
        self.puts.append(key)
        fault = self.faults.pop(0) if self.faults else "ok"
        if self.away or fault == "503":
            raise ConnectionError("503 Slow Down")
        if fault == "412":
            raise Exists(key)
        if fault == "late":
            self.late.append(lambda: ObstoreBackend.put(self, key, data, create=create))
            raise ConnectionError("connection reset")
        if fault == "held":
            await self.release.wait()
        await super().put(key, data, create=create)
        if fault == "answer lost":
            raise ConnectionError("connection reset")

    async def get(self, key: str) -> bytes:
        if self.away:
            raise ConnectionError("503 Slow Down")
        data = await super().get(key)
        if self.cut_short:
            self.cut_short -= 1
            return data[: len(data) // 2]
        return data

    async def delete(self, key: str) -> None:
        if self.away:
            raise ConnectionError("503 Slow Down")
        await super().delete(key)


@dataclass
class Word:
    """What the metadata says."""

    trims: dict[tuple[int, int], int] = field(default_factory=dict)
    stale: list[int] = field(default_factory=list)
    """Given for the next trim points instead of the true ones."""
    living: set[tuple[int, int]] = field(default_factory=set)
    newest_epoch: int = 100
    hearts: list[tuple[int, int] | None] = field(default_factory=list)

    async def verify(self, broker: int, epoch: int) -> None:
        return

    async def trim_point(self, broker: int, epoch: int) -> int:
        return self.stale.pop(0) if self.stale else self.trims.get((broker, epoch), 0)

    async def record_trim(self, broker: int, epoch: int, sequence: int) -> None:
        self.trims[broker, epoch] = max(sequence, self.trims.get((broker, epoch), 0))

    async def slots_needed(self) -> SlotNeeds:
        return SlotNeeds(
            newest_epoch=self.newest_epoch,
            needed_from={key: self.trims.get(key, 0) for key in self.living},
            recorded=set(self.trims),
        )

    async def forget_trims(self, settled: Collection[tuple[int, int]]) -> None:
        for key in settled:
            del self.trims[key]

    async def heart(self, broker: int) -> tuple[int, int] | None:
        return self.hearts.pop(0) if len(self.hearts) > 1 else self.hearts[0] if self.hearts else None


class World:
    """One store and one word; writers by broker epoch; what each acknowledged, in order."""

    def __init__(self, backend: Any = None, clock: Any = None) -> None:
        self.backend = backend if backend is not None else Store()
        self.clock = clock if clock is not None else QuickClock()
        self.store = ObjectStore("memory://", self.backend, self.clock, random.Random(1))
        self.word = Word()
        self.said: list[str] = []
        self.acknowledged: list[int] = []
        self._ids = random.Random(2)

    def writer(self, epoch: int = 1, capacity_bytes: int = 64 * 1024 * 1024, pace_s: float = 0.0) -> ObjectWal:
        wal = ObjectWal(
            store=self.store,
            broker=0,
            capacity_bytes=capacity_bytes,
            duties=self.word,
            clock=self.clock,
            entropy=self._ids.randbytes,
            pace_s=pace_s,
            say=self.said.append,
        )
        wal.start(epoch)
        return wal

    def append(self, wal: ObjectWal, number: int, size: int = 100) -> None:
        wal.append(entry(number, size), lambda: self.acknowledged.append(number))

    async def keys(self) -> list[str]:
        return sorted(key for key, _ in await self.store.list("wal/"))


def entry(number: int, size: int = 100) -> Entry:
    return Entry(uid=7, epoch=1, base_offset=number, end_offset=number + 1, records=bytes(size))


def offsets(entries: Any) -> list[int]:
    return [one.base_offset for one in entries]


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"not so after {seconds} s")
