"""Reads from objects: index once, then one range GET for neighbouring blocks, each proven by its checksum, in caches of
their own.

Catch-up readers fill this cache and never the tail (law 13). A missing object first reloads the ranges, since retention
may just have removed it (law 8); a damaged answer is asked for once more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from broker.errors import KafkaStorageError
from broker.log.config import CacheStats
from broker.log.times import NOTHING, first_at
from broker.metadata import commits
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.layout import TRAILER, BlockEntry, Bytes, DamagedObject, check_block, index_span, unpack_index
from broker.objects.store import Missing, ObjectStore
from broker.records.batch import batches

READ_AHEAD_BYTES = 1024 * 1024
"""A range GET asks for at least this much of neighbouring blocks, when the partition has them."""
CACHED_INDEXES = 512

RangesOf = Callable[[bool], Awaitable[list[RangeRow]]]


def object_key(object_id: int) -> str:
    """Spread over 256 prefixes, so that no prefix of a bucket gets hot."""
    return f"objects/{object_id & 0xFF:02x}/{object_id:016x}"


@dataclass(kw_only=True)
class ObjectReader:
    """Shared by all logs of a broker."""

    store: ObjectStore
    metadata: Metadata
    limit_bytes: int
    stats: CacheStats = field(default_factory=CacheStats)

    def __post_init__(self) -> None:
        self._indexes: OrderedDict[int, dict[int, list[BlockEntry]]] = OrderedDict()
        self._blocks: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    async def ranges(self, uid: int) -> list[RangeRow]:
        return await self.metadata.read(lambda tx: commits.ranges(tx, uid))

    async def epoch_history(self, uid: int) -> list[tuple[int, int]]:
        return await self.metadata.read(lambda tx: commits.epoch_history(tx, uid))

    async def read(self, uid: int, ranges: RangesOf, offset: int, max_bytes: int, min_one: bool) -> list[Bytes]:
        """Whole batches of one range from the one that holds `offset`."""
        for attempt in range(2):
            row = _covering(await ranges(attempt > 0), offset)
            if row is None:
                continue
            try:
                return await self._read_range(uid, row, offset, max_bytes, min_one)
            except (Missing, DamagedObject) as error:
                if attempt:
                    raise KafkaStorageError(f"partition {uid:x} at {offset}: {error}") from error
                self._forget(row.object_id)
        raise KafkaStorageError(f"partition {uid:x}: no object holds offset {offset}")

    async def _read_range(self, uid: int, row: RangeRow, offset: int, max_bytes: int, min_one: bool) -> list[Bytes]:
        blocks = await self._blocks_of(uid, row.object_id)
        first = max(bisect_right([block.base_offset for block in blocks], offset) - 1, 0)
        found: list[Bytes] = []
        room = max_bytes
        for number in range(first, len(blocks)):
            if number > first and room <= 0:
                break
            data = await self._block(row.object_id, blocks, number)
            for batch in batches(data):
                if batch.next_offset <= offset:
                    continue
                if batch.size_bytes > room and (found or not min_one):
                    return found
                found.append(memoryview(data)[batch.position : batch.position + batch.size_bytes])
                room -= batch.size_bytes
        return found

    async def offset_for_time(self, uid: int, row: RangeRow, timestamp_ms: int) -> tuple[int, int]:
        """The first record of the range at or after `timestamp_ms` (times.py)."""
        blocks = await self._blocks_of(uid, row.object_id)
        for number, block in enumerate(blocks):
            if block.max_timestamp_ms >= timestamp_ms:
                return first_at(await self._block(row.object_id, blocks, number), timestamp_ms)
        return NOTHING

    async def _blocks_of(self, uid: int, object_id: int) -> list[BlockEntry]:
        if (index := self._indexes.get(object_id)) is None:
            key = object_key(object_id)
            size = await self.store.head(key)
            tail = await self.store.get_range(key, max(size - TRAILER.size, 0), min(size, TRAILER.size))
            position, length = index_span(tail)
            entries = unpack_index(await self.store.get_range(key, position, length), tail)
            index = {}
            for entry in entries:
                index.setdefault(entry.uid, []).append(entry)
            self._indexes[object_id] = index
            if len(self._indexes) > CACHED_INDEXES:
                self._indexes.popitem(last=False)
        self._indexes.move_to_end(object_id)
        return index.get(uid, [])

    async def _block(self, object_id: int, blocks: list[BlockEntry], number: int) -> bytes:
        """One block, from the cache or together with the ones behind it."""
        key = (object_id, blocks[number].position)
        if (data := self._blocks.get(key)) is not None:
            self._blocks.move_to_end(key)
            self.stats.hits += 1
            return data
        self.stats.misses += 1
        last = number
        while last + 1 < len(blocks) and blocks[last + 1].position - blocks[number].position < READ_AHEAD_BYTES:
            last += 1
        start = blocks[number].position
        end = blocks[last].position + blocks[last].size_bytes
        got = await self.store.get_range(object_key(object_id), start, end - start)
        for block in blocks[number : last + 1]:
            part = got[block.position - start : block.position - start + block.size_bytes]
            check_block(block, part)
            self._keep((object_id, block.position), part)
        return got[: blocks[number].size_bytes]

    def _keep(self, key: tuple[int, int], data: bytes) -> None:
        old = self._blocks.pop(key, b"")
        self._blocks[key] = data
        self.stats.held_bytes += len(data) - len(old)
        while self.stats.held_bytes > self.limit_bytes and len(self._blocks) > 1:
            _, dropped = self._blocks.popitem(last=False)
            self.stats.held_bytes -= len(dropped)

    def _forget(self, object_id: int) -> None:
        self._indexes.pop(object_id, None)
        for key in [key for key in self._blocks if key[0] == object_id]:
            self.stats.held_bytes -= len(self._blocks.pop(key))


def _covering(ranges: list[RangeRow], offset: int) -> RangeRow | None:
    at = bisect_right([row.start for row in ranges], offset) - 1
    return ranges[at] if at >= 0 and offset < ranges[at].end else None
