"""The fence and the sweeper: whatever the store and the metadata say late, nothing acknowledged is left behind it."""

import asyncio
import random
from contextlib import suppress

import pytest

from broker.wal.base import WalError, WalFull
from broker.wal.shelf import Shelf
from broker.wal.slot_fence import READ_AHEAD, fence_and_read
from broker.wal.slot_layout import Place, pack_fence, pack_slot
from broker.wal.slot_sweep import sweep_slots
from tests.broker.wal.slot_world import World, entry, offsets, until

ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
async def world() -> World:
    return World()


def shelf_of(world: World, epoch: int = 1) -> Shelf:
    return Shelf(store=world.store, broker=0, epoch=epoch, clock=world.clock)


async def put(world: World, *sequences: int, epoch: int = 1) -> None:
    """Slots as a writer would leave them, each with its own number for an offset."""
    for sequence in sequences:
        place = Place(broker=0, epoch=epoch, sequence=sequence)
        await world.store.put(place.key, pack_slot(place, b"w" * 16, [entry(sequence)]))


async def test_the_fence_goes_into_the_lowest_hole_and_what_lies_above_is_void(world: World) -> None:
    await put(world, 0, 1, 3, 4)
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert (fenced.fence, offsets(fenced.entries)) == (2, [0, 1])


async def test_more_slots_than_are_read_at_once(world: World) -> None:
    count = 2 * READ_AHEAD + 5
    await put(world, *range(count))
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert (fenced.fence, offsets(fenced.entries)) == (count, list(range(count)))


async def test_a_second_recoverer_stops_at_the_fence_of_the_first(world: World) -> None:
    await put(world, 0, 1)
    first = await fence_and_read(shelf_of(world), world.word, ONE)
    await put(world, 3)
    second = await fence_and_read(shelf_of(world), world.word, TWO)
    assert (second.fence, offsets(second.entries)) == (first.fence, [0, 1])


async def test_two_recoverers_at_once_agree(world: World) -> None:
    await put(world, 0, 1)
    both = await asyncio.gather(*(fence_and_read(shelf_of(world), world.word, who) for who in (ONE, TWO)))
    assert [(one.fence, offsets(one.entries)) for one in both] == [(2, [0, 1])] * 2


async def test_a_recoverer_that_died_midway_is_followed_by_one_that_starts_over(world: World) -> None:
    await put(world, *range(5))
    world.backend.faults = ["503"] * 100
    task = asyncio.ensure_future(fence_and_read(shelf_of(world), world.word, ONE))
    await until(lambda: world.backend.puts)
    task.cancel()
    world.backend.faults = []
    fenced = await fence_and_read(shelf_of(world), world.word, TWO)
    assert (fenced.fence, len(fenced.entries)) == (5, 5)


async def test_a_trim_that_came_between_moves_the_fence_up(world: World) -> None:
    await put(world, 5, 6)
    world.word.trims[0, 1] = 5
    world.word.stale = [0]
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert (fenced.start, fenced.fence, offsets(fenced.entries)) == (5, 7, [5, 6])


async def test_a_deleted_slot_that_comes_back_late_is_not_read(world: World) -> None:
    await put(world, 2, 5)
    world.word.trims[0, 1] = 5
    world.word.stale = [2]
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert (fenced.fence, offsets(fenced.entries)) == (6, [5])


@pytest.mark.parametrize("fault", ["answer lost", "503", "412", "late"])
async def test_a_fence_in_doubt_is_read_back(world: World, fault: str) -> None:
    await put(world, 0)
    world.backend.faults = [fault, fault]
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert (fenced.fence, offsets(fenced.entries)) == (1, [0])


async def test_a_get_that_is_cut_short_is_asked_again(world: World) -> None:
    await put(world, 0, 1)
    world.backend.cut_short = 2
    fenced = await fence_and_read(shelf_of(world), world.word, ONE)
    assert offsets(fenced.entries) == [0, 1]


async def test_a_slot_that_rotted_is_said_and_not_passed_over(world: World) -> None:
    await put(world, 0, 1)
    await world.store.put("wal/0/1/000000000001", b"rotten")
    with pytest.raises(WalError, match=r"wal/0/1/000000000001 in memory:// is corrupt \(6 bytes"):
        await fence_and_read(shelf_of(world), world.word, ONE)


async def test_the_sweeper_leaves_fences_and_what_may_be_needed(world: World) -> None:
    await put(world, 0, 1, 2, epoch=1)  # over: all of it goes, the void slot above the fence too
    await world.store.put(shelf_of(world, 1).place(3).key, pack_fence(shelf_of(world, 1).place(3), ONE))
    await put(world, 4, epoch=1)
    await put(world, 0, 1, epoch=2)  # not recovered yet
    await put(world, 3, 4, 5, epoch=3)  # alive, trimmed up to 4
    await put(world, 0, epoch=101)  # from a future that this metadata does not know
    await world.store.put("wal/readme", b"not ours")
    world.word.living = {(0, 2), (0, 3)}
    world.word.trims[0, 3] = 4
    assert await sweep_slots(world.store, world.word, world.clock) == 5
    assert await world.keys() == [
        "wal/0/1/000000000003",
        "wal/0/101/000000000000",
        "wal/0/2/000000000000",
        "wal/0/2/000000000001",
        "wal/0/3/000000000004",
        "wal/0/3/000000000005",
        "wal/readme",
    ]


@pytest.mark.parametrize("seed", range(40))
async def test_any_order_of_effects_leaves_what_was_acknowledged_below_the_fence(seed: int) -> None:
    """A writer under random faults, trimmed now and then, and two recoverers somewhere in between; afterwards every
    PUT that was given up takes effect, in any order.
    """
    rng = random.Random(seed)
    world = World()
    world.backend.faults = rng.choices(["ok", "answer lost", "503", "412", "late"], [6, 1, 1, 1, 1], k=200)
    writer = world.writer()
    objects: set[int] = set()
    recovered: list[set[int]] = []

    async def recover(who: bytes) -> None:
        await asyncio.sleep(rng.uniform(0, 0.03))
        fenced = await fence_and_read(shelf_of(world), world.word, who)
        recovered.append(set(offsets(fenced.entries)) | objects)

    async def write() -> None:
        for number in range(40):
            if not writer.failed.done():
                with suppress(WalFull):  # a store that answers slowly: nothing was recorded
                    world.append(writer, number, size=rng.choice([10, 3_000_000]))
            await asyncio.sleep(rng.uniform(0, 0.002))
            if rng.random() < 0.1 and not recovered:
                mark = writer.mark()
                objects.update(world.acknowledged)
                await writer.trim(mark)

    await asyncio.gather(write(), recover(ONE), recover(TWO))
    rng.shuffle(world.backend.late)
    for effect in world.backend.late:
        await asyncio.gather(effect(), return_exceptions=True)
    for number in range(100, 103):
        if not writer.failed.done():
            world.append(writer, number)
            await asyncio.sleep(0.005)
    await asyncio.wait_for(writer.failed, 30)
    for found in recovered:
        assert set(world.acknowledged) <= found
    await writer.close()


async def test_trim_points_of_epochs_that_are_over_go_when_their_last_slot_is_gone(world: World) -> None:
    await put(world, 7, epoch=1)
    await world.store.put(shelf_of(world, 2).place(3).key, pack_fence(shelf_of(world, 2).place(3), ONE))
    world.word.trims = {(0, 1): 7, (0, 2): 3, (0, 3): 4}
    world.word.living = {(0, 3)}
    await sweep_slots(world.store, world.word, world.clock)
    assert world.word.trims == {(0, 1): 7, (0, 3): 4}
    await sweep_slots(world.store, world.word, world.clock)
    assert world.word.trims == {(0, 3): 4}
