"""Two coordinators on one store: what is answered is stored, and a partition's owner alone may write."""

import asyncio
import os
from dataclasses import replace

import pytest

from broker.clock import SystemClock
from broker.errors import (
    CoordinatorLoadInProgress,
    GroupIdNotFound,
    InvalidGroupId,
    NonEmptyGroup,
    NotCoordinator,
    UnknownMemberId,
)
from broker.groups.consumer_shapes import Heartbeat
from broker.groups.coordinator import GroupCoordinator
from broker.groups.settings import GroupSettings
from broker.groups.shapes import CommitRequest, JoinRequest, SyncRequest
from broker.groups.state import GroupState
from broker.metadata import CONSUMER_OFFSETS, Metadata, OffsetRow, Registration, members

JOIN = JoinRequest(
    group_id="orders",
    member_id="",
    instance_id=None,
    client_id="app",
    client_host="/127.0.0.1",
    session_timeout_s=10,
    rebalance_timeout_s=10,
    protocol_type="consumer",
    protocols=(("range", b"topics"),),
    requires_known_id=False,
    may_skip_assignment=True,
)
ROW = OffsetRow(offset=42, leader_epoch=0, metadata="", committed_at_ms=0)


@pytest.fixture
async def metadata(tmp_path):
    store = await Metadata.open(f"sqlite://{tmp_path}/metadata.db", clock=SystemClock(), entropy=os.urandom)
    for broker in (0, 1):
        me = Registration(
            id=broker,
            listeners={},
            http="",
            zone=None,
            spot=False,
            version="0",
            host_id="here",
            wal_url=f"file:///wal/{broker}",
        )
        await store.change(lambda tx, me=me: members.register(tx, me, 0))
    await store.create_topic(CONSUMER_OFFSETS, partitions=50)
    yield store
    await store.close()


@pytest.fixture
async def pair(metadata):
    """The coordinator of "orders", and the other one."""
    made = [
        GroupCoordinator(
            metadata=metadata,
            clock=SystemClock(),
            broker_id=broker,
            settings=GroupSettings(initial_delay_s=0, min_session_s=0.1),
            new_id=lambda: os.urandom(4).hex(),
        )
        for broker in (0, 1)
    ]
    for coordinator in made:
        await coordinator.start()
    owner = made[0].home_of("orders").owner
    yield made[owner], made[1 - owner]
    for coordinator in made:
        await coordinator.stop()


async def join_and_sync(coordinator, **changes):
    joined = await coordinator.join(replace(JOIN, **changes))
    request = SyncRequest(
        group_id="orders",
        generation=joined.generation,
        member_id=joined.member_id,
        instance_id=None,
        protocol_type=None,
        protocol=None,
        assignments=((joined.member_id, b"all"),),
    )
    return joined, await coordinator.sync(request)


async def move(metadata, to):
    """The partition of "orders" goes to broker `to`, as a handover would do it."""
    home = metadata.image.topics[CONSUMER_OFFSETS].partitions
    uids = [partition.uid for partition in home if partition.owner != to]
    await metadata.change(lambda tx: members.give(tx, [members.Gift(uid=uid, owner=to, owner_epoch=1) for uid in uids]))


def member(joined):
    return CommitRequest(group_id="orders", member_id=joined.member_id, instance_id=None, generation=joined.generation)


async def test_a_member_joins_commits_and_leaves(metadata, pair):
    coordinator, _ = pair
    topic = await metadata.create_topic("t", partitions=1)
    joined, synced = await join_and_sync(coordinator)
    assert synced.assignment == b"all"
    await coordinator.heartbeat("orders", joined.member_id, None, joined.generation)
    await coordinator.commit(member(joined), {(topic.id, 0): ROW})
    assert await coordinator.offsets("orders") == {(topic.id, 0): ROW}
    with pytest.raises(NonEmptyGroup):
        await coordinator.delete("orders")
    await coordinator.leave("orders", joined.member_id, None)
    assert (await coordinator.describe("orders")).state is GroupState.EMPTY
    await coordinator.delete("orders")
    with pytest.raises(GroupIdNotFound):
        await coordinator.describe("orders")
    assert await coordinator.offsets("orders") == {}


async def test_a_group_that_two_delete_at_once_goes_once_and_the_other_is_told_to_ask_again(pair):
    coordinator, _ = pair
    joined, _ = await join_and_sync(coordinator)
    await coordinator.leave("orders", joined.member_id, None)
    first, second = await asyncio.gather(*(coordinator.delete("orders") for _ in range(2)), return_exceptions=True)
    assert first is None and isinstance(second, CoordinatorLoadInProgress)
    with pytest.raises(GroupIdNotFound):
        await coordinator.delete("orders")


async def test_who_does_not_own_the_partition_does_not_coordinate(pair):
    _, other = pair
    with pytest.raises(NotCoordinator):
        await other.join(JOIN)
    with pytest.raises(NotCoordinator):
        await other.offsets("orders")
    with pytest.raises(InvalidGroupId):
        await other.offsets("")


async def test_the_generation_goes_on_where_the_partition_goes(metadata, pair):
    coordinator, other = pair
    joined, _ = await join_and_sync(coordinator)
    await move(metadata, 1 - coordinator.home_of("orders").owner)
    with pytest.raises(NotCoordinator):
        await coordinator.heartbeat("orders", joined.member_id, None, joined.generation)
    await other.heartbeat("orders", joined.member_id, None, joined.generation)
    view = await other.describe("orders")
    assert (view.state, view.members[0].assignment) == (GroupState.STABLE, b"all")
    assert [view.group_id for view in await other.groups()] == ["orders"]
    assert await coordinator.groups() == []


async def test_a_coordinator_that_lost_its_partition_unnoticed_cannot_write(metadata, pair, tmp_path):
    coordinator, _ = pair
    topic = await metadata.create_topic("t", partitions=1)
    joined, _ = await join_and_sync(coordinator)
    elsewhere = await Metadata.open(f"sqlite://{tmp_path}/metadata.db", clock=SystemClock(), entropy=os.urandom)
    await move(elsewhere, 1 - coordinator.home_of("orders").owner)
    with pytest.raises(NotCoordinator):
        await coordinator.commit(member(joined), {(topic.id, 0): ROW})
    with pytest.raises(NotCoordinator):
        await coordinator.leave("orders", joined.member_id, None)
    assert await elsewhere.fetch_offsets("orders") == {}
    await elsewhere.close()


async def test_a_parked_member_is_sent_on_when_the_partition_moves(metadata, pair):
    coordinator, _ = pair
    await join_and_sync(coordinator)
    parked = asyncio.ensure_future(coordinator.join(JOIN))
    while (await coordinator.describe("orders")).state is not GroupState.PREPARING:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await move(metadata, 1 - coordinator.home_of("orders").owner)
    with pytest.raises(NotCoordinator):
        await parked


async def test_a_silent_member_is_out_after_its_session(pair):
    coordinator, _ = pair
    joined, _ = await join_and_sync(coordinator, session_timeout_s=0.2)
    async with asyncio.timeout(30):
        while (await coordinator.describe("orders")).members:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    with pytest.raises(UnknownMemberId):
        await coordinator.heartbeat("orders", joined.member_id, None, joined.generation)


async def test_offsets_of_a_group_nobody_joined_make_the_group(metadata, pair):
    coordinator, _ = pair
    topic = await metadata.create_topic("t", partitions=1)
    alone = CommitRequest(group_id="orders", member_id="", instance_id=None, generation=-1)
    await coordinator.commit(alone, {(topic.id, 0): ROW})
    assert [(view.group_id, view.state) for view in await coordinator.groups()] == [("orders", GroupState.EMPTY)]


async def test_a_refused_stranger_leaves_no_group_behind(pair):
    coordinator, _ = pair
    with pytest.raises(UnknownMemberId):
        await coordinator.join(replace(JOIN, member_id="never given out"))
    assert await coordinator.groups() == []
    with pytest.raises(GroupIdNotFound):
        await coordinator.describe("orders")


async def test_a_client_that_hangs_up_while_parked_harms_nobody(pair):
    coordinator, _ = pair
    await join_and_sync(coordinator)
    gone = asyncio.ensure_future(coordinator.join(JOIN))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    view = await coordinator.describe("orders")
    assert len(view.members) == 2


async def test_many_commits_share_few_transactions(metadata, pair):
    coordinator, _ = pair
    topic = await metadata.create_topic("t", partitions=1)
    joined, _ = await join_and_sync(coordinator)
    rows = [replace(ROW, offset=number) for number in range(300)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(coordinator.commit(member(joined), {(topic.id, 0): row}) for row in rows))
    assert (await coordinator.offsets("orders"))[topic.id, 0].offset == 299


async def test_an_empty_groups_offsets_go_when_they_are_old(metadata, pair):
    coordinator, _ = pair
    topic = await metadata.create_topic("t", partitions=2)
    now_ms = SystemClock().wall_ms()
    alone = CommitRequest(group_id="orders", member_id="", instance_id=None, generation=-1)
    old, new = replace(ROW, committed_at_ms=now_ms - 8 * 86_400_000), replace(ROW, committed_at_ms=now_ms)
    await coordinator.commit(alone, {(topic.id, 0): old, (topic.id, 1): new})
    await coordinator.retention.look()
    assert len(await coordinator.offsets("orders")) == 2, "it has been empty for less than that"
    _, entry = await coordinator._shards.entry("orders")
    entry.emptied_ms = 0
    await coordinator.retention.look()
    assert set(await coordinator.offsets("orders")) == {(topic.id, 1)}
    await coordinator.commit(alone, {(topic.id, 1): old})
    await coordinator.retention.look()
    assert await coordinator.offsets("orders") == {}
    with pytest.raises(GroupIdNotFound):
        await coordinator.describe("orders")


async def test_a_group_with_members_keeps_what_they_read(metadata, pair):
    coordinator, _ = pair
    read, left = [await metadata.create_topic(name, partitions=1) for name in ("read", "left")]
    subscribed = b"\0\0" + b"\0\0\0\1" + b"\0\4read" + b"\xff\xff\xff\xff"
    joined, _ = await join_and_sync(coordinator, protocols=(("range", subscribed),))
    await coordinator.commit(member(joined), {(read.id, 0): ROW, (left.id, 0): ROW})
    await coordinator.retention.look()
    assert set(await coordinator.offsets("orders")) == {(read.id, 0)}


async def test_a_group_of_the_new_protocol_is_stored_before_it_is_answered(metadata, pair):
    coordinator, other = pair
    await metadata.create_topic("t", partitions=3)
    beat = Heartbeat(
        group_id="orders",
        member_id="m",
        epoch=0,
        instance_id=None,
        rack=None,
        client_id="app",
        client_host="/127.0.0.1",
        rebalance_timeout_s=60,
        names=frozenset({"t"}),
        regex=None,
        assignor=None,
        owned=frozenset(),
        may_see=lambda name: True,
    )
    first = await coordinator.consumers.heartbeat(beat)
    with pytest.raises(NotCoordinator):
        await other.consumers.heartbeat(beat)
    await move(metadata, to=1 - coordinator.home_of("orders").owner)
    with pytest.raises(NotCoordinator):
        await coordinator.consumers.heartbeat(beat)
    later = replace(beat, epoch=first.epoch, names=None, rebalance_timeout_s=None, owned=first.assignment)
    again = await other.consumers.heartbeat(later)
    assert (again.epoch, again.assignment) == (first.epoch, None)
    assert (await other.consumers.describe("orders")).members[0].assigned == first.assignment
