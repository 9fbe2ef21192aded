"""Commits, handovers and recoveries as transactions: what is refused leaves the others alone, and what is asked twice
happens once.
"""

from typing import Any

import pytest

from broker.errors import KafkaStorageError, StaleBrokerEpoch
from broker.metadata import NOBODY, Metadata, commits, members
from broker.metadata.image import Partition
from broker.metadata.rows import Extent
from tests.broker.metadata.conftest import registration


def extent(partition: Partition, start: int, end: int, epoch: int = 0) -> Extent:
    return Extent(
        uid=partition.uid, epoch=epoch, start=start, end=end, size_bytes=10, max_timestamp_ms=1, producers=b"p\0"
    )


def wal_of(metadata: Metadata, broker: int) -> tuple[int, int]:
    return broker, metadata.image.brokers[broker].epoch


async def upload(metadata: Metadata, extents: list[Extent], wal: tuple[int, int]) -> set[int]:
    """One object through its life; what was refused."""
    object_id = await metadata.write(lambda tx: commits.prepare(tx, wal[0], 1))
    return await metadata.change(lambda tx: commits.commit(tx, object_id, 100, extents, wal, 2))


async def end_of(metadata: Metadata, partition: Partition) -> int:
    row = await metadata.read(lambda tx: tx.one("SELECT log_end FROM partitions WHERE uid = ?", partition.uid))
    return int(row[0])


async def owned_by_0(metadata: Metadata, count: int) -> tuple[Partition, ...]:
    topic = await metadata.create_topic("t", partitions=count, assignments={i: [0] for i in range(count)})
    return topic.partitions


async def test_a_refused_extent_is_left_out_and_the_others_pass(metadata: Metadata) -> None:
    good, gap, old_epoch, foreign = await owned_by_0(metadata, 4)
    wal = wal_of(metadata, 0)
    extents = [extent(good, 0, 5), extent(gap, 3, 5), extent(old_epoch, 0, 5, epoch=7), extent(foreign, 0, 5)]
    await metadata.write(lambda tx: tx.run("UPDATE epochs SET broker = 1 WHERE uid = ?", foreign.uid))
    assert await upload(metadata, extents, wal) == {gap.uid, old_epoch.uid, foreign.uid}
    assert [await end_of(metadata, p) for p in (good, gap, old_epoch, foreign)] == [5, 0, 0, 0]
    rows = await metadata.read(lambda tx: commits.ranges(tx, good.uid))
    assert [(row.start, row.end, row.object_id) for row in rows] == [(0, 5, 1)]


async def test_a_commit_asked_again_answers_the_same_and_adds_nothing(metadata: Metadata) -> None:
    first, second = await owned_by_0(metadata, 2)
    wal = wal_of(metadata, 0)
    for extents, refused in (
        ([extent(first, 0, 5), extent(second, 9, 10)], {second.uid}),
        ([extent(second, 9, 10)], {second.uid}),
    ):
        object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 1))
        for _ in range(3):
            again = await metadata.change(
                lambda tx, o=object_id, e=extents: commits.commit(tx, o, 100, e, wal, 2)  # type: ignore[misc]
            )
            assert again == refused
    assert await end_of(metadata, first) == 5


async def test_an_upload_that_was_condemned_cannot_be_committed(metadata: Metadata) -> None:
    (partition,) = await owned_by_0(metadata, 1)
    epoch = await metadata.change(lambda tx: members.take_control(tx, 0, wal_of(metadata, 0)[1], NOBODY))
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 1))
    assert await metadata.write(lambda tx: commits.condemn(tx, 0, epoch, 2, 2)) == [object_id]
    with pytest.raises(KafkaStorageError, match="given up"):
        await metadata.write(
            lambda tx: commits.commit(tx, object_id, 1, [extent(partition, 0, 1)], wal_of(metadata, 0), 2)
        )


async def test_object_ids_never_repeat_and_the_newest_is_remembered_when_all_are_gone(metadata: Metadata) -> None:
    epoch = await metadata.change(lambda tx: members.take_control(tx, 0, wal_of(metadata, 0)[1], NOBODY))
    given = []
    for _ in range(3):
        given.append(await metadata.write(lambda tx: commits.prepare(tx, 0, 1)))
        given.append(await metadata.write(lambda tx: commits.prepare(tx, 0, 1)))
        await metadata.write(lambda tx: commits.give_up(tx, given[-1]))
        dead = await metadata.write(lambda tx: commits.condemn(tx, 0, epoch, 2, 2))
        await metadata.write(lambda tx, dead=dead: commits.forget(tx, dead))
        assert await metadata.write(lambda tx: commits.condemn(tx, 0, epoch, 2, 2)) == []
        assert await metadata.read(commits.newest_object) == given[-1]
    assert given == sorted(set(given))
    assert await metadata.read(lambda tx: tx.all("SELECT id FROM objects")) == [(given[-1],)]


async def test_a_handover_closes_the_range_and_opens_the_next_and_may_be_asked_again(metadata: Metadata) -> None:
    moving, staying, unfinished = await owned_by_0(metadata, 3)
    wal = wal_of(metadata, 0)
    await upload(metadata, [extent(moving, 0, 5), extent(unfinished, 0, 5)], wal)
    for index in (0, 2):
        await metadata.reassign("t", index, [1, 2])
    ends = {moving.uid: (0, 5), staying.uid: (0, 0), unfinished.uid: (0, 6)}
    for _ in range(2):
        assert await metadata.change(lambda tx: commits.hand_over(tx, ends, wal)) == {moving.uid}
    moved, stayed, waits = (await metadata.refresh()).topics["t"].partitions
    assert (moved.owner, moved.epoch, moved.replicas, moved.target) == (1, 1, (1, 2), None)
    assert (stayed.owner, waits.owner, waits.target) == (0, 0, (1, 2))
    assert await metadata.read(lambda tx: commits.epoch_history(tx, moving.uid)) == [(0, 0), (1, 5)]
    assert await upload(metadata, [extent(moving, 5, 6)], wal) == {moving.uid}
    assert await upload(metadata, [extent(moving, 5, 6, epoch=1)], wal_of(metadata, 1)) == set()


async def test_a_broker_that_leaves_gives_everything_to_others(metadata: Metadata) -> None:
    first, second = await owned_by_0(metadata, 2)
    wal = wal_of(metadata, 0)
    await upload(metadata, [extent(first, 0, 5)], wal)
    gone = await metadata.change(lambda tx: commits.release(tx, {first.uid: (0, 5)}, wal))
    assert gone == {first.uid, second.uid}
    image = metadata.image
    assert {p.owner for p in image.topics["t"].partitions} == {1, 2}
    assert (image.brokers[0].alive, image.brokers[0].departed) == (False, True)
    assert await metadata.change(lambda tx: commits.release(tx, {first.uid: (0, 5)}, wal)) == set()
    assert {p.epoch for p in (await metadata.refresh()).topics["t"].partitions} == {1}


async def test_a_recovery_is_carried_out_by_who_holds_it_and_once(metadata: Metadata) -> None:
    partitions = await owned_by_0(metadata, 3)
    dead_epoch, my_epoch = wal_of(metadata, 0)[1], wal_of(metadata, 1)[1]
    control = await metadata.change(lambda tx: members.take_control(tx, 1, my_epoch, NOBODY))
    assert control is not None
    given = await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, dead_epoch, 1))
    assert given is not None
    assert await metadata.change(lambda tx: members.declare_dead(tx, 1, control, 0, dead_epoch, 2)) is None
    passed_on = await metadata.change(lambda tx: members.reassign_recovery(tx, 1, control, given, 2))
    assert passed_on is not None
    assert await metadata.change(lambda tx: members.reassign_recovery(tx, 1, control, given, 1)) is None
    with pytest.raises(StaleBrokerEpoch, match="somebody else"):
        await metadata.change(lambda tx: commits.finish_recovery(tx, given, None))
    found = await metadata.read(lambda tx: members.open_ranges(tx, passed_on))
    assert {one.uid for one in found} == {p.uid for p in partitions}
    finished = await metadata.change(lambda tx: commits.finish_recovery(tx, passed_on, None))
    assert set(finished) == {p.uid for p in partitions}
    assert {p.owner for p in metadata.image.topics["t"].partitions} == {1, 2}
    with pytest.raises(StaleBrokerEpoch):
        await metadata.change(lambda tx: commits.finish_recovery(tx, passed_on, None))


async def test_a_broker_that_comes_back_recovers_itself_and_adopts_what_nobody_owns(metadata: Metadata) -> None:
    partitions = await owned_by_0(metadata, 2)
    epoch, recovery = await metadata.change(lambda tx: members.register(tx, registration(0), 5))
    assert recovery is not None
    assert (recovery.recoverer, recovery.broker_epoch) == (0, epoch - 1)
    await metadata.change(lambda tx: commits.finish_recovery(tx, recovery, 0))
    openings = await metadata.read(lambda tx: commits.openings(tx, 0, epoch, [p.uid for p in partitions]))
    assert {(o.uid, o.epoch) for o in openings} == {(p.uid, 1) for p in partitions}
    for broker in (1, 2, 0):
        wal = (broker, metadata.image.brokers[broker].epoch)
        await metadata.change(lambda tx, wal=wal: commits.release(tx, {}, wal))
    assert {p.owner for p in metadata.image.topics["t"].partitions} == {NOBODY}
    _, nothing = await metadata.change(lambda tx: members.register(tx, registration(0), 6))
    assert nothing is None
    assert {p.owner for p in metadata.image.topics["t"].partitions} == {0}


@pytest.mark.parametrize("count", [1, 500, 5000])
async def test_many_partitions_cost_a_handful_of_statements(metadata: Metadata, count: int) -> None:
    statements: list[str] = []

    def counted(work: Any) -> Any:
        return lambda tx: work(Counting(tx, statements))

    partitions = await owned_by_0(metadata, count)
    wal = wal_of(metadata, 0)
    extents, ends = [extent(p, 0, 5) for p in partitions], {p.uid: (0, 5) for p in partitions}
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 1))
    assert not await metadata.write(counted(lambda tx: commits.commit(tx, object_id, 1, extents, wal, 2)))
    assert len(statements) <= 5, statements
    found = await metadata.read(counted(lambda tx: commits.openings(tx, *wal, ends)))
    assert len(found) == count
    assert len(statements) <= 8, statements
    await metadata.write(lambda tx: tx.run("UPDATE partitions SET target = '[1]'"))
    assert await metadata.write(counted(lambda tx: commits.hand_over(tx, ends, wal))) == set(ends)
    assert len(statements) <= 17, statements
    assert await metadata.write(counted(lambda tx: commits.release(tx, {}, wal_of(metadata, 1)))) == set(ends)
    assert len(statements) <= 32, statements


class Counting:
    """Passes everything on and notes each statement."""

    def __init__(self, tx: Any, statements: list[str]) -> None:
        self._tx, self._statements = tx, statements

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)
        if name == "changed":
            return method

        def noted(sql: str, *arguments: Any) -> Any:
            self._statements.append(sql)
            return method(sql, *arguments)

        return noted
