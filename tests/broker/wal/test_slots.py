"""The object WAL as a log uses it: one PUT when idle, groups when busy, acknowledged in order, and every doubt about a
PUT settled by reading the slot back.
"""

import asyncio

import pytest

from broker.wal.base import WalFull
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import fence_and_read
from broker.wal.slot_layout import Place, pack_fence, pack_slot, unpack
from broker.wal.slots import LEAST_ROOM_BYTES, LINGER_S, SLOT_BYTES
from tests.broker.wal.slot_world import HandClock, World, entry, offsets, until

FENCER = b"f" * 16


@pytest.fixture
async def world() -> World:
    return World()


def shelf_of(world: World, epoch: int = 1) -> Shelf:
    return Shelf(store=world.store, broker=0, epoch=epoch, clock=world.clock)


async def test_what_is_appended_in_one_turn_shares_one_put(world: World) -> None:
    wal = world.writer()
    for number in range(5):
        world.append(wal, number)
    await until(lambda: world.acknowledged == [0, 1, 2, 3, 4])
    assert world.backend.puts == ["wal/0/1/000000000000"]
    await wal.close()


async def test_entries_gather_while_a_put_is_under_way(world: World) -> None:
    world.backend.faults = ["held"]
    wal = world.writer()
    world.append(wal, 0)
    await until(lambda: world.backend.puts)
    for number in range(1, 50):
        world.append(wal, number)
        await asyncio.sleep(0)
    world.backend.release.set()
    await until(lambda: len(world.acknowledged) == 50)
    assert len(world.backend.puts) == 2
    await wal.close()


async def test_a_slow_put_holds_the_next_group_back_for_a_quarter_of_a_second_at_most() -> None:
    clock = HandClock()
    world = World(clock=clock)
    world.backend.faults = ["held"]
    wal = world.writer()
    world.append(wal, 0)
    await until(lambda: world.backend.puts)
    world.append(wal, 1)
    await clock.wind(0.24)
    assert len(world.backend.puts) == 1
    await clock.wind(LINGER_S - 0.24)
    await until(lambda: len(world.backend.puts) == 2)
    assert world.acknowledged == []
    world.backend.release.set()
    await until(lambda: world.acknowledged == [0, 1])
    await wal.close()


async def test_with_a_pace_slots_are_sent_that_far_apart_unless_they_are_full() -> None:
    clock = HandClock()
    world = World(clock=clock)
    wal = world.writer(pace_s=0.2)
    world.append(wal, 0)
    await until(lambda: world.acknowledged == [0])
    world.append(wal, 1)
    await clock.wind(0.19)
    assert world.acknowledged == [0]
    world.append(wal, 2)
    await clock.wind(0.02)
    await until(lambda: world.acknowledged == [0, 1, 2])
    assert len(world.backend.puts) == 2
    world.append(wal, 3, size=SLOT_BYTES)
    await until(lambda: 3 in world.acknowledged)
    await wal.close()


async def test_a_slot_is_closed_at_its_size_and_never_skipped(world: World) -> None:
    wal = world.writer()
    for number in range(5):
        world.append(wal, number, size=SLOT_BYTES // 2)
    await until(lambda: len(world.acknowledged) == 5)
    assert await world.keys() == [f"wal/0/1/{n:012d}" for n in range(5)]
    await wal.close()


async def test_acknowledges_in_slot_order_whatever_is_stored_first(world: World) -> None:
    world.backend.faults = ["held", "ok", "ok"]
    wal = world.writer()
    for number in range(3):
        world.append(wal, number, size=SLOT_BYTES)
        await until(lambda n=number: len(world.backend.puts) == n + 1)
    await asyncio.sleep(0.02)
    assert (world.acknowledged, wal.mark()) == ([], 0)
    world.backend.release.set()
    await until(lambda: world.acknowledged == [0, 1, 2])
    assert wal.mark() == 3
    await wal.close()


@pytest.mark.parametrize("fault", ["answer lost", "503", "412", "late"])
async def test_a_put_in_doubt_is_settled_by_reading_the_slot_back(world: World, fault: str) -> None:
    world.backend.faults = [fault] * 3
    wal = world.writer()
    world.append(wal, 0)
    await until(lambda: world.acknowledged == [0])
    for effect in world.backend.late:
        with pytest.raises(Exception, match="already exists"):
            await effect()
    assert not wal.failed.done()
    fenced = await fence_and_read(shelf_of(world), world.word, FENCER)
    assert (offsets(fenced.entries), fenced.fence) == ([0], 1)
    await wal.close()


async def test_a_store_that_is_away_costs_nothing_but_time(world: World) -> None:
    wal = world.writer(capacity_bytes=3 * LEAST_ROOM_BYTES)
    world.append(wal, 0)
    await until(lambda: world.acknowledged == [0])
    world.backend.away = True
    taken = 1
    with pytest.raises(WalFull, match="await the store or an upload"):
        while True:
            world.append(wal, taken, size=20_000)
            taken += 1
    await until(lambda: world.said)
    await asyncio.sleep(0.05)
    assert world.acknowledged == [0]
    assert not wal.failed.done()
    world.backend.away = False
    await until(lambda: world.acknowledged == list(range(taken)))
    assert len(world.said) == 2, "once when it went, once when it came back"
    await wal.trim(wal.mark())
    world.append(wal, taken)
    await until(lambda: world.acknowledged[-1] == taken)
    await wal.close()


async def test_a_writer_that_meets_the_fence_acknowledges_nothing_more(world: World) -> None:
    wal = world.writer()
    world.append(wal, 0)
    await until(lambda: world.acknowledged == [0])
    fenced = await fence_and_read(shelf_of(world), world.word, FENCER)
    assert (offsets(fenced.entries), fenced.fence) == ([0], 1)
    for number in (1, 2, 3):
        world.append(wal, number, size=SLOT_BYTES)
    assert "wal/0/1/000000000001 in memory:// holds a fence" in str(await asyncio.wait_for(wal.failed, 30))
    await asyncio.sleep(0.02)
    assert world.acknowledged == [0]
    with pytest.raises(WalFull):
        world.append(wal, 4)
    assert wal.stats.errors == 1
    await wal.close()


async def test_another_writers_slot_ends_this_one(world: World) -> None:
    place = Place(broker=0, epoch=1, sequence=0)
    await world.store.put(place.key, pack_slot(place, b"o" * 16, [entry(9)]))
    wal = world.writer()
    world.append(wal, 0)
    assert "another writer's slot" in str(await asyncio.wait_for(wal.failed, 30))
    assert world.acknowledged == []
    await wal.close()


async def test_the_trim_point_is_recorded_before_a_slot_is_deleted(world: World) -> None:
    wal = world.writer()
    for number in range(3):
        world.append(wal, number, size=SLOT_BYTES)
    await until(lambda: len(world.acknowledged) == 3)
    used = wal.used_bytes
    deleted_at: list[int] = []
    delete = world.backend.delete

    async def watched(key: str) -> None:
        deleted_at.append(world.word.trims.get((0, 1), 0))
        await delete(key)

    world.backend.delete = watched
    await wal.trim(2)
    assert wal.used_bytes < used
    await until(lambda: len(deleted_at) == 2)
    await wal.close()
    assert deleted_at == [2, 2]
    assert await world.keys() == ["wal/0/1/000000000002"]
    fenced = await fence_and_read(shelf_of(world), world.word, FENCER)
    assert (fenced.start, offsets(fenced.entries), fenced.fence) == (2, [2], 3)


async def test_a_slot_takes_room_enough_that_their_number_is_bounded(world: World) -> None:
    wal = world.writer()
    world.append(wal, 0, size=1)
    await until(lambda: world.acknowledged == [0])
    assert wal.used_bytes == LEAST_ROOM_BYTES
    await wal.trim(wal.mark())
    assert wal.used_bytes == 0
    await wal.close()


async def test_closing_writes_what_is_queued(world: World) -> None:
    world.backend.faults = ["503", "answer lost"]
    wal = world.writer()
    for number in range(3):
        world.append(wal, number, size=SLOT_BYTES)
    await wal.close()
    assert world.acknowledged == [0, 1, 2]


async def test_what_an_earlier_life_left_is_read_behind_a_fence_and_then_forgotten(world: World) -> None:
    first = world.writer(epoch=1)
    for number in range(3):
        world.append(first, number, size=SLOT_BYTES)
    await until(lambda: len(world.acknowledged) == 3)
    second = world.writer(epoch=4)
    assert offsets(await second.read_back([1])) == [0, 1, 2]
    world.append(second, 10)
    await until(lambda: 10 in world.acknowledged)
    await second.forget_recovered()
    await second.close()
    assert await world.keys() == ["wal/0/1/000000000003", "wal/0/4/000000000000"], "the fence stays"
    assert world.word.trims[0, 1] == 3
    await first.close()


def test_a_slot_that_is_not_whole_or_not_in_its_place_is_not_taken_for_one() -> None:
    place = Place(broker=3, epoch=9, sequence=7)
    data = pack_slot(place, FENCER, [entry(1, 40), entry(2, 0)])
    slot = unpack(place, data)
    assert slot is not None
    assert (offsets(slot.entries()), slot.writer, slot.is_fence) == ([1, 2], FENCER, False)
    assert all(unpack(place, data[:length]) is None for length in range(len(data)))
    assert all(unpack(place, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) is None for at in range(len(data)))
    assert unpack(Place(broker=3, epoch=9, sequence=8), data) is None
    fence = unpack(place, pack_fence(place, FENCER))
    assert fence is not None
    assert fence.is_fence


def test_a_key_says_its_place_and_other_keys_say_nothing() -> None:
    place = Place(broker=3, epoch=9, sequence=7)
    assert place.key == "wal/3/9/000000000007"
    assert Place.of(place.key) == place
    assert [Place.of(key) for key in ("wal/3/9", "wal/3/9/x", "objects/3/9/7", "wal/3/9/7/.tmp")] == [None] * 4
