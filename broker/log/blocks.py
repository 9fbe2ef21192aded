"""Blocks and indexes of objects in memory, for readers that are behind the tail.

Neighbouring blocks come in one GET (a run), and everybody who wants one of them shares it. A reader that goes on finds
the next runs asked for already: `ahead` asks without waiting. Bounds (law 12): the bytes that are kept, the GETs that
are under way, those of them that are ahead of readers, and the bytes that were fetched ahead and not wanted yet (half
of the cache): past these nobody reads ahead, since it would only push out what the next reader is about to want.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from broker.log.config import MIB, CacheStats
from broker.objects.layout import TRAILER, BlockEntry, check_block, index_span, unpack_index
from broker.objects.store import ObjectStore

RUN_BYTES = MIB
"""A GET asks for at least this much of neighbouring blocks, when the partition has them."""
RUNS_AHEAD = 8
RUNS_UNDER_WAY = 16
INDEX_GUESS_BYTES = 64 * 1024
"""The end of an object that is asked for first: its whole index, unless it has many hundreds of blocks."""
INDEX_CACHE_BYTES = 16 * MIB
_ENTRY_BYTES = 250
"""What a block's entry takes in memory, roughly."""

Key = tuple[int, int]
"""(object id, position)."""
Index = dict[int, list[BlockEntry]]
"""Partition uid to its blocks, in order."""


def object_key(object_id: int) -> str:
    """Spread over 256 prefixes, so that no prefix of a bucket gets hot."""
    return f"objects/{object_id & 0xFF:02x}/{object_id:016x}"


@dataclass(kw_only=True, slots=True)
class _Kept:
    data: bytes
    wanted: bool
    """Whether a reader has asked for it, or it was only fetched ahead."""


class Blocks:
    """Shared by all logs of a broker."""

    def __init__(self, store: ObjectStore, *, limit_bytes: int, ahead_bytes: int, stats: CacheStats) -> None:
        self._store, self._limit_bytes, self._ahead_bytes, self.stats = store, limit_bytes, ahead_bytes, stats
        stats.limit_bytes = limit_bytes
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._coming: dict[Key, asyncio.Task[dict[Key, bytes]]] = {}
        self._ahead: set[asyncio.Task[dict[Key, bytes]]] = set()
        self._places = asyncio.Semaphore(RUNS_UNDER_WAY)
        self._unwanted_bytes = 0
        self._coming_ahead_bytes = 0

    async def get(self, object_id: int, blocks: Sequence[BlockEntry], number: int) -> bytes:
        """One block, and the next ones on their way. DamagedObject, Missing or StoreUnavailable."""
        key = (object_id, blocks[number].position)
        kept = self._kept.get(key)
        if kept is not None:
            self.stats.hits += 1
            self._want(key, kept)
            data = kept.data
        else:
            self.stats.misses += 1
            data = await self._come(key, blocks, number)
        self.ahead(object_id, blocks, number + 1)
        return data

    async def _come(self, key: Key, blocks: Sequence[BlockEntry], number: int) -> bytes:
        """The run is nobody's own: a reader that hangs up must not take it from the others."""
        task = self._coming.get(key)
        if task is None:
            task = self._fetch(key[0], self._run(key[0], blocks, number), wanted=key)
        else:
            self.stats.shared += 1
        parts = await asyncio.shield(task)
        if (kept := self._kept.get(key)) is not None:
            self._want(key, kept)
        return parts[key]

    def ahead(self, object_id: int, blocks: Sequence[BlockEntry], number: int) -> None:
        """Asks for what is missing of the next `ahead_bytes`, whole runs at a time."""
        if number >= len(blocks):
            return
        horizon = blocks[number].position + self._ahead_bytes
        while number < len(blocks) and blocks[number].position < horizon:
            if self._has((object_id, blocks[number].position)):
                number += 1
                continue
            run = self._run(object_id, blocks, number)
            if not self._may_fetch_ahead(run, horizon, number + len(run) == len(blocks)):
                return
            self.stats.prefetches += 1
            self._ahead.add(self._fetch(object_id, run, wanted=None))
            number += len(run)

    def _may_fetch_ahead(self, run: Sequence[BlockEntry], horizon: int, last: bool) -> bool:
        size = sum(block.size_bytes for block in run)
        if len(self._ahead) >= RUNS_AHEAD or (
            self._unwanted_bytes + self._coming_ahead_bytes + size > self._limit_bytes // 2
        ):
            return False
        return last or run[-1].position + run[-1].size_bytes <= horizon

    def _has(self, key: Key) -> bool:
        return key in self._kept or key in self._coming

    def _run(self, object_id: int, blocks: Sequence[BlockEntry], number: int) -> Sequence[BlockEntry]:
        """Neighbours from `number` on that are not here; the first one comes whatever its size."""
        last, start = number, blocks[number].position
        while last + 1 < len(blocks):
            after = blocks[last + 1]
            end = blocks[last].position + blocks[last].size_bytes
            if after.position != end or end - start >= RUN_BYTES or self._has((object_id, after.position)):
                break
            last += 1
        return blocks[number : last + 1]

    def _fetch(
        self, object_id: int, run: Sequence[BlockEntry], *, wanted: Key | None
    ) -> asyncio.Task[dict[Key, bytes]]:
        task = asyncio.get_running_loop().create_task(self._get_run(object_id, run))
        size = sum(block.size_bytes for block in run)
        keys = [(object_id, block.position) for block in run]
        self._coming.update(dict.fromkeys(keys, task))
        if wanted is None:
            self._coming_ahead_bytes += size

        def came(done: asyncio.Task[dict[Key, bytes]]) -> None:
            for key in keys:
                del self._coming[key]
            if wanted is None:
                self._ahead.discard(done)
                self._coming_ahead_bytes -= size
            if done.cancelled() or done.exception() is not None:
                return  # whoever waits for it is told; nobody waits for what was only fetched ahead
            for key, data in done.result().items():
                self._keep(key, data, wanted=key == wanted)

        task.add_done_callback(came)
        return task

    async def _get_run(self, object_id: int, run: Sequence[BlockEntry]) -> dict[Key, bytes]:
        start = run[0].position

        def parts(data: bytes) -> dict[Key, bytes]:
            return {
                (object_id, block.position): data[block.position - start : block.position - start + block.size_bytes]
                for block in run
            }

        def check(data: bytes) -> None:
            view = memoryview(data)
            for block in run:
                check_block(block, view[block.position - start : block.position - start + block.size_bytes])

        length = run[-1].position + run[-1].size_bytes - start
        async with self._places:
            return parts(await self._store.get_range(object_key(object_id), start, length, check=check))

    # -- what is kept ------------------------------------------------------------------------------------------------

    def _want(self, key: Key, kept: _Kept) -> None:
        self._kept.move_to_end(key)
        if not kept.wanted:
            kept.wanted = True
            self._unwanted_bytes -= len(kept.data)

    def _keep(self, key: Key, data: bytes, *, wanted: bool) -> None:
        self._drop(key)
        self._kept[key] = _Kept(data=data, wanted=wanted)
        self.stats.held_bytes += len(data)
        if not wanted:
            self._unwanted_bytes += len(data)
        while self.stats.held_bytes > self._limit_bytes and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            self.stats.wasted += not self._kept[oldest].wanted
            self._drop(oldest)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.stats.held_bytes -= len(kept.data)
            if not kept.wanted:
                self._unwanted_bytes -= len(kept.data)

    def forget(self, object_id: int) -> None:
        """Nothing of that object is believed any more."""
        for key in [key for key in self._kept if key[0] == object_id]:
            self._drop(key)


class Indexes:
    """Which blocks an object has; read once, in one GET as a rule, shared and bounded like blocks."""

    def __init__(self, store: ObjectStore, stats: CacheStats) -> None:
        self._store, self.stats = store, stats
        stats.limit_bytes = INDEX_CACHE_BYTES
        self._kept: OrderedDict[int, tuple[Index, int]] = OrderedDict()
        self._coming: dict[int, asyncio.Task[Index]] = {}

    async def get(self, object_id: int, object_bytes: int) -> Index:
        """`object_bytes` is the object's size as the metadata has it."""
        if (kept := self._kept.get(object_id)) is not None:
            self.stats.hits += 1
            self._kept.move_to_end(object_id)
            return kept[0]
        self.stats.misses += 1
        task = self._coming.get(object_id)
        if task is None:
            task = self._coming[object_id] = asyncio.get_running_loop().create_task(
                self._fetch(object_id, object_bytes)
            )
            task.add_done_callback(lambda done: self._came(object_id, done))
        else:
            self.stats.shared += 1
        return await asyncio.shield(task)

    async def _fetch(self, object_id: int, object_bytes: int) -> Index:
        key = object_key(object_id)
        length = min(object_bytes, INDEX_GUESS_BYTES)
        end = await self._store.get_range(key, object_bytes - length, length, check=lambda data: _check_end(data))
        position, size = index_span(end)
        if position + size + TRAILER.size <= object_bytes and position >= object_bytes - length:
            begin = position - (object_bytes - length)
            packed = end[begin : begin + size]
        else:
            packed = await self._store.get_range(key, position, size)
        index: Index = {}
        for entry in unpack_index(packed, end):
            index.setdefault(entry.uid, []).append(entry)
        return index

    def _came(self, object_id: int, done: asyncio.Task[Index]) -> None:
        del self._coming[object_id]
        if done.cancelled() or done.exception() is not None:
            return
        size = sum(len(entries) for entries in done.result().values()) * _ENTRY_BYTES
        self._kept[object_id] = done.result(), size
        self.stats.held_bytes += size
        while self.stats.held_bytes > INDEX_CACHE_BYTES and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self.stats.held_bytes -= dropped

    def forget(self, object_id: int) -> None:
        if (kept := self._kept.pop(object_id, None)) is not None:
            self.stats.held_bytes -= kept[1]


def _check_end(data: bytes) -> None:
    index_span(data)
