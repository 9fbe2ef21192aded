"""Planned moves as transactions: wishes are granted one by one, drains spread what they take, and a cordon holds."""

from __future__ import annotations

import os

import pytest

from broker.errors import (
    EligibleLeadersNotAvailable,
    InvalidReplicaAssignment,
    NoReassignmentInProgress,
    ResourceNotFound,
    UnknownTopicOrPartition,
)
from broker.metadata import Metadata, commits, members, moves
from broker.metadata.secrets import peers_secret
from tests.broker.metadata.conftest import Open


async def test_one_request_grants_what_it_can_and_says_why_not_for_the_rest(metadata: Metadata) -> None:
    await metadata.create_topic("t", partitions=4, assignments={i: [0, 1] for i in range(4)})
    wishes = {("t", 0): [1], ("t", 1): [0, 2], ("t", 2): None, ("t", 3): [9], ("t", 7): [1], ("u", 0): [1]}
    refused = await metadata.change(lambda tx: moves.aim(tx, wishes))
    assert {where: type(error) for where, error in refused.items()} == {
        ("t", 2): NoReassignmentInProgress,
        ("t", 3): InvalidReplicaAssignment,
        ("t", 7): UnknownTopicOrPartition,
        ("u", 0): UnknownTopicOrPartition,
    }
    first, second, *rest = metadata.image.topics["t"].partitions
    assert (first.target, first.replicas) == ((1,), (0, 1))
    assert (second.target, second.replicas) == (None, (0, 2))
    assert all(each.target is None and each.replicas == (0, 1) for each in rest)
    assert await metadata.change(lambda tx: moves.aim(tx, {("t", 0): None})) == {}
    assert metadata.image.topics["t"].partitions[0].target is None


async def test_a_preferred_election_aims_at_the_first_replica_and_keeps_the_list(metadata: Metadata) -> None:
    topic = await metadata.create_topic("t", partitions=1, assignments={0: [0, 1]})
    uid = topic.partitions[0].uid
    await metadata.reassign("t", 0, [1, 0])
    wal = (0, metadata.image.brokers[0].epoch)
    assert await metadata.change(lambda tx: commits.hand_over(tx, {uid: (0, 0)}, wal)) == {uid}
    await metadata.change(lambda tx: tx.run("UPDATE partitions SET replicas = ? WHERE uid = ?", "[0, 1]", uid))
    await metadata.change(lambda tx: moves.prefer(tx, {uid}))
    assert metadata.image.topics["t"].partitions[0].target == (0, 1)


async def test_a_drain_takes_the_broker_out_of_every_list_and_zones_stay_covered(metadata: Metadata) -> None:
    await metadata.create_topic("one", partitions=4, assignments={i: [0] for i in range(4)})
    await metadata.create_topic("two", partitions=2, assignments={0: [0, 1], 1: [1, 0]})
    assert await metadata.change(lambda tx: moves.drain(tx, 0)) == 5
    one, two = metadata.image.topics["one"].partitions, metadata.image.topics["two"].partitions
    assert sorted(each.target or () for each in one) == [(1,), (2,), (2,), (2,)]
    assert two[0].target == (1, 2)
    assert (two[1].target, two[1].replicas) == (None, (1, 2))
    assert metadata.image.brokers[0].cordoned


async def test_a_drain_that_nobody_can_take_changes_nothing(metadata: Metadata) -> None:
    await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    for broker in (1, 2):
        await metadata.cordon(broker, True)
    with pytest.raises(EligibleLeadersNotAvailable):
        await metadata.change(lambda tx: moves.drain(tx, 0))
    with pytest.raises(ResourceNotFound):
        await metadata.change(lambda tx: moves.drain(tx, 9))
    await metadata.refresh()
    assert (metadata.image.brokers[0].cordoned, metadata.image.topics["t"].partitions[0].target) == (False, None)


async def test_a_cordoned_broker_is_a_successor_only_when_there_is_no_other(metadata: Metadata) -> None:
    await metadata.cordon(1, True)
    assert [broker for broker, _ in await metadata.read(lambda tx: members.successors(tx, {0}))] == [2]
    await metadata.cordon(2, True)
    assert [broker for broker, _ in await metadata.read(lambda tx: members.successors(tx, {0}))] == [1, 2]


async def test_a_leader_from_outside_its_replicas_is_shown_among_them(metadata: Metadata) -> None:
    topic = await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    wal = (0, metadata.image.brokers[0].epoch)
    await metadata.change(lambda tx: commits.release(tx, {topic.partitions[0].uid: (0, 0)}, wal))
    partition = metadata.image.topics["t"].partitions[0]
    assert partition.owner in (1, 2)
    assert (partition.replicas, partition.isr) == ((0, partition.owner), (partition.owner,))


async def test_brokers_share_one_secret_whoever_comes_first(open_metadata: Open) -> None:
    found = set()
    for _ in range(3):
        store, fresh = await open_metadata(), os.urandom(32)
        found.add(await store.write(lambda tx, f=fresh: peers_secret(tx, f)))
    assert len(found) == 1
