"""Reading behind the tail: a block is fetched once, the next ones ahead of their reader, and everything has a bound."""

import asyncio
import random

import obstore
import pytest

from broker.clock import SystemClock
from broker.log.blocks import RUNS_AHEAD, RUNS_UNDER_WAY, Blocks, Indexes, object_key
from broker.log.config import MIB, CacheStats
from broker.objects.faults import Damaged
from broker.objects.layout import BLOCK_BYTES, BlockEntry, ObjectBuilder, Piece
from broker.objects.store import ObjectStore, ObstoreBackend

UID = 7
EACH = BLOCK_BYTES


class Watched(ObstoreBackend):
    """Remembers what was asked for, and answers while `open` is set."""

    def __init__(self) -> None:
        super().__init__(obstore.store.MemoryStore())
        self.asked: list[tuple[int, int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        self.asked.append((start, length))
        await self.open.wait()
        return await super().get_range(key, start, length)


class Shelf:
    """One object of `count` blocks in a memory store, and the caches in front of it."""

    def __init__(self, backend: Watched, count: int, *, limit: int = 64 * MIB, ahead: int = 0) -> None:
        self.backend = backend
        self.store = ObjectStore("memory://", backend, SystemClock(), random.Random(1))
        self.stats, self.index_stats = CacheStats(), CacheStats()
        self.blocks = Blocks(self.store, limit_bytes=limit, ahead_bytes=ahead, stats=self.stats)
        self.indexes = Indexes(self.store, self.index_stats)
        builder = ObjectBuilder()
        builder.add(UID, [self.piece(number) for number in range(count)])
        self.data = builder.build().joined()

    @staticmethod
    def piece(number: int) -> Piece:
        data = bytes([number % 256]) * EACH
        return Piece(base_offset=number, end_offset=number + 1, max_timestamp_ms=number, data=data)

    async def entries(self) -> list[BlockEntry]:
        await self.store.put(object_key(1), self.data)
        found = (await self.indexes.get(1, len(self.data)))[UID]
        self.backend.asked.clear()
        return found


async def settled(shelf: Shelf) -> None:
    while shelf.blocks._coming:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_an_index_takes_one_get_and_no_head() -> None:
    shelf = Shelf(Watched(), 8)
    await shelf.store.put(object_key(1), shelf.data)
    first, second = await asyncio.gather(*(shelf.indexes.get(1, len(shelf.data)) for _ in range(2)))
    assert len(first[UID]) == 8
    assert first is second
    assert len(shelf.backend.asked) == 1
    assert shelf.store.meter.requests["head", "ok"] == 0
    await shelf.indexes.get(1, len(shelf.data))
    assert (shelf.index_stats.hits, shelf.index_stats.shared, len(shelf.backend.asked)) == (1, 1, 1)


async def test_a_long_index_takes_a_second_get() -> None:
    shelf = Shelf(Watched(), 1)
    builder = ObjectBuilder()
    for uid in range(3000):
        builder.add(uid, [Piece(base_offset=0, end_offset=1, max_timestamp_ms=uid, data=b"x")])
    shelf.data = builder.build().joined()
    await shelf.entries()
    index = await shelf.indexes.get(1, len(shelf.data))
    assert len(index) == 3000
    assert index[2999][0].max_timestamp_ms == 2999


async def test_readers_of_one_block_share_its_get() -> None:
    shelf = Shelf(Watched(), 4)
    entries = await shelf.entries()
    shelf.backend.open.clear()
    readers = [asyncio.ensure_future(shelf.blocks.get(1, entries, number)) for number in (0, 0, 2)]
    await asyncio.sleep(0)
    shelf.backend.open.set()
    found = await asyncio.gather(*readers)
    assert [data[0] for data in found] == [0, 0, 2]
    assert len(shelf.backend.asked) == 1
    assert shelf.stats.shared == 2


async def test_a_reader_that_hangs_up_takes_nothing_from_the_others() -> None:
    shelf = Shelf(Watched(), 4)
    entries = await shelf.entries()
    shelf.backend.open.clear()
    first, second = (asyncio.ensure_future(shelf.blocks.get(1, entries, 0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    shelf.backend.open.set()
    assert (await second)[0] == 0


async def test_the_next_blocks_come_while_the_first_are_looked_at() -> None:
    shelf = Shelf(Watched(), 32, ahead=4 * MIB)
    entries = await shelf.entries()
    await shelf.blocks.get(1, entries, 0)
    await settled(shelf)
    asked = len(shelf.backend.asked)
    for number in range(1, 16):
        assert (await shelf.blocks.get(1, entries, number))[0] == number
    assert shelf.stats.misses == 1
    assert shelf.stats.prefetches > 0
    await settled(shelf)
    assert len(shelf.backend.asked) > asked, "reading on moves the window on"
    assert all(length <= MIB for _, length in shelf.backend.asked), "ahead means whole runs, not crumbs"
    assert len(shelf.backend.asked) <= 32 * EACH // MIB


async def test_reading_ahead_is_bounded_by_requests_and_by_half_of_the_cache() -> None:
    many = Shelf(Watched(), 100, limit=64 * MIB, ahead=1000 * MIB)
    entries = await many.entries()
    many.backend.open.clear()
    many.blocks.ahead(1, entries, 0)
    await asyncio.sleep(0)
    assert len(many.backend.asked) == RUNS_AHEAD
    small = Shelf(Watched(), 100, limit=8 * MIB, ahead=1000 * MIB)
    entries = await small.entries()
    small.blocks.ahead(1, entries, 0)
    await settled(small)
    small.blocks.ahead(1, entries, 0)
    await settled(small)
    assert small.stats.held_bytes <= 4 * MIB
    many.backend.open.set()
    await settled(many)


async def test_a_crowd_of_readers_has_a_bounded_number_of_gets_under_way() -> None:
    shelf = Shelf(Watched(), 400)
    entries = await shelf.entries()
    shelf.backend.open.clear()
    readers = [asyncio.ensure_future(shelf.blocks.get(1, entries, number)) for number in range(0, 400, 8)]
    await asyncio.sleep(0.01)
    assert len(shelf.backend.asked) == RUNS_UNDER_WAY
    shelf.backend.open.set()
    assert [data[0] for data in await asyncio.gather(*readers)] == [number % 256 for number in range(0, 400, 8)]


async def test_the_cache_keeps_to_its_limit_and_counts_what_was_fetched_for_nothing() -> None:
    shelf = Shelf(Watched(), 64, limit=4 * MIB, ahead=MIB)
    entries = await shelf.entries()
    shelf.blocks.ahead(1, entries, 60)
    await settled(shelf)
    for number in range(32):
        await shelf.blocks.get(1, entries, number)
        await settled(shelf)
        assert shelf.stats.held_bytes <= 4 * MIB
    assert shelf.stats.wasted == 4


async def test_damage_is_told_to_the_reader_and_nothing_of_it_is_kept() -> None:
    shelf = Shelf(Watched(), 4)
    entries = await shelf.entries()
    await shelf.store.put(object_key(1), b"?" * len(shelf.data))
    with pytest.raises(Damaged):
        await shelf.blocks.get(1, entries, 0)
    assert shelf.stats.held_bytes == 0
    await shelf.store.put(object_key(1), shelf.data)
    assert (await shelf.blocks.get(1, entries, 0))[0] == 0
