"""Reads from objects: index, then blocks, each proven by its checksum, in caches of their own (blocks.py).

Catch-up readers fill those and never the tail, and their GETs come after the tail's (law 13). A missing object first
reloads the ranges, since retention may just have removed it (law 8); so does one that stays damaged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from broker.errors import KafkaStorageError
from broker.log.blocks import Blocks, Indexes, object_key
from broker.log.config import CacheStats
from broker.log.times import NOTHING, first_at
from broker.metadata import commits, deletions
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.faults import Damaged, Missing
from broker.objects.layout import BlockEntry, Bytes
from broker.objects.store import ObjectStore, Priority
from broker.records.batch import batches

__all__ = ["ObjectReader", "object_key"]

RangesOf = Callable[[bool], Awaitable[list[RangeRow]]]


@dataclass(kw_only=True)
class ObjectReader:
    """Shared by all logs of a broker."""

    store: ObjectStore
    metadata: Metadata
    limit_bytes: int
    ahead_bytes: int
    stats: CacheStats = field(default_factory=CacheStats)
    index_stats: CacheStats = field(default_factory=CacheStats)

    def __post_init__(self) -> None:
        store = self.store.at(Priority.CATCH_UP)
        self._indexes = Indexes(store, self.index_stats)
        self._blocks = Blocks(store, limit_bytes=self.limit_bytes, ahead_bytes=self.ahead_bytes, stats=self.stats)

    async def ranges(self, uid: int) -> list[RangeRow]:
        return await self.metadata.read(lambda tx: commits.ranges(tx, uid))

    async def epoch_history(self, uid: int) -> list[tuple[int, int]]:
        return await self.metadata.read(lambda tx: commits.epoch_history(tx, uid))

    async def raise_start(self, uid: int, epoch: int, start: int, now_ms: int) -> int:
        """Deletes what lies below `start` for good; the bytes of whole ranges that freed."""
        return await self.metadata.write(lambda tx: deletions.raise_start(tx, uid, epoch, start, now_ms))

    async def read(self, uid: int, ranges: RangesOf, offset: int, max_bytes: int, min_one: bool) -> list[Bytes] | None:
        """Whole batches of one range from the one that holds `offset`, or that comes next where cleaning left a gap;
        None when no object has any from there on.
        """
        while True:
            end, found = await self._read_at(uid, ranges, offset, max_bytes, min_one)
            if found is not None or end is None:
                return found
            offset = end

    async def _read_at(
        self, uid: int, ranges: RangesOf, offset: int, max_bytes: int, min_one: bool
    ) -> tuple[int | None, list[Bytes] | None]:
        """(end of the range when another one follows, batches or None)."""
        for attempt in range(2):
            rows = await ranges(attempt > 0)
            row = _covering(rows, offset)
            if row is None:
                continue
            try:
                found = await self._read_range(uid, row, offset, max_bytes, min_one)
                return (row.end if row is not rows[-1] else None), found
            except (Missing, Damaged) as error:
                if attempt:
                    raise KafkaStorageError(f"partition {uid:x} at {offset}: {error}") from error
                self._forget(row.object_id)
        raise KafkaStorageError(f"partition {uid:x}: no object holds offset {offset}")

    async def _read_range(
        self, uid: int, row: RangeRow, offset: int, max_bytes: int, min_one: bool
    ) -> list[Bytes] | None:
        """As many as fit; None when the range has none at or behind `offset`."""
        blocks = await self._blocks_of_range(uid, row)
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
        return found or None

    async def offset_for_time(self, uid: int, row: RangeRow, timestamp_ms: int, floor: int) -> tuple[int, int]:
        """The first record of the range at or after `timestamp_ms` and not below `floor` (times.py)."""
        blocks = await self._blocks_of_range(uid, row)
        for number, block in enumerate(blocks):
            if block.max_timestamp_ms >= timestamp_ms and block.end_offset > floor:
                found = first_at(await self._block(row.object_id, blocks, number), timestamp_ms, floor)
                if found != NOTHING:
                    return found
        return NOTHING

    async def _blocks_of_range(self, uid: int, row: RangeRow) -> list[BlockEntry]:
        """An object may hold blocks of a partition that belong to another of its ranges, or to none any more."""
        return [b for b in await self._blocks_of(uid, row) if row.start <= b.base_offset < row.end]

    async def _blocks_of(self, uid: int, row: RangeRow) -> list[BlockEntry]:
        return (await self._indexes.get(row.object_id, row.object_bytes)).get(uid, [])

    async def _block(self, object_id: int, blocks: list[BlockEntry], number: int) -> bytes:
        return await self._blocks.get(object_id, blocks, number)

    def _forget(self, object_id: int) -> None:
        self._indexes.forget(object_id)
        self._blocks.forget(object_id)


def _covering(ranges: list[RangeRow], offset: int) -> RangeRow | None:
    at = bisect_right([row.start for row in ranges], offset) - 1
    return ranges[at] if at >= 0 and offset < ranges[at].end else None
