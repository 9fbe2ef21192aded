"""Planned moves: producers wait, nothing is lost or twice, and who drains a broker is told what became of it."""

import asyncio
import contextlib
import os
import time
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.errors import (
    EligibleLeadersNotAvailable,
    KafkaStorageError,
    NotLeaderOrFollower,
)
from broker.metadata import Metadata, commits, moves


@pytest.fixture(params=["sqlite", "postgresql"])
async def cluster(cluster: Any, request: pytest.FixtureRequest, new_store: Any) -> Any:
    """On each kind of metadata store."""
    cluster.metadata_url = await new_store(request.param)
    return cluster


async def test_producers_wait_out_a_handover_and_are_told_who_leads_when_the_new_owner_has_opened(
    cluster: Any, make_batch: Any
) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    old = await cluster.log(0)
    await old.append(make_batch(), acks=-1)
    old.hold()
    waiting = [old.append(make_batch(), acks=-1) for _ in range(3)]
    await cluster.metadata(0).reassign("t", 0, [1])
    for each in waiting:
        with pytest.raises(NotLeaderOrFollower) as refused:
            await asyncio.wait_for(each, 30)
        assert (refused.value.leader, refused.value.epoch) == (1, 1)
    assert (await cluster.log(1)).log_end == 1


async def test_a_handover_that_comes_to_nothing_takes_the_waiting_appends_in_their_order(
    cluster: Any, make_batch: Any
) -> None:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    log.hold()
    waiting = [log.append(make_batch(producer=5, sequence=n), acks=-1) for n in range(3)]
    log.go_on()
    assert [(await each).base_offset for each in waiting] == [0, 1, 2]


async def test_an_append_waits_for_a_handover_only_so_long(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    log.hold()
    waiting = log.append(make_batch(), acks=-1)
    log.refuse_held()
    with pytest.raises(NotLeaderOrFollower):
        await waiting
    with pytest.raises(NotLeaderOrFollower):
        log.append(make_batch(), acks=-1)
    log.go_on()
    assert (await log.append(make_batch(), acks=-1)).base_offset == 0


async def test_a_handover_does_not_wait_for_an_upload_of_other_partitions(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=2, assignments={0: [0], 1: [0]})
    moved, other = await cluster.log(0, 0), await cluster.log(0, 1)
    await other.append(make_batch(), acks=-1)
    async with logs._uploader._one_at_a_time:
        with logs._uploader._claimed({other.uid}):
            await cluster.metadata(0).reassign("t", 0, [1])
            assert (await cluster.log(1, 0)).epoch == 1
    assert moved.closing


async def test_the_wal_keeps_what_a_failed_handover_did_not_bring_away(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0)
    await cluster.metadata(0).create_topic("t", partitions=2)
    handed, other = await cluster.log(0, 0), await cluster.log(0, 1)
    await handed.append(make_batch(), acks=-1)
    await other.append(make_batch(), acks=-1)
    uploader, failing = logs._uploader, asyncio.get_running_loop().create_future()
    uploader._handovers.add(failing)
    failing.set_result(False)
    with uploader._claimed({handed.uid}):
        await uploader.upload(list(logs))
    assert logs._wal.used_bytes > 0
    uploader._handovers.clear()
    await cluster.crash(0)
    await cluster.start(0)
    assert ((await cluster.log(0, 0)).log_end, (await cluster.log(0, 1)).log_end) == (1, 1)


async def test_a_drain_spreads_everything_and_the_drained_broker_gets_nothing_new(
    cluster: Any, make_batch: Any
) -> None:
    for broker in range(3):
        await cluster.start(broker)
    metadata = cluster.metadata(1)
    await metadata.create_topic("t", partitions=6, assignments={n: [0] for n in range(6)})
    await metadata.create_topic("wide", partitions=1, assignments={0: [1, 0]})
    for index in range(6):
        await (await cluster.log(0, index)).append(make_batch(producer=5, sequence=0), acks=-1)
    assert await metadata.change(lambda tx: moves.drain(tx, 0)) == 6
    async with asyncio.timeout(30):
        image = await metadata.until(lambda image: all(p.owner != 0 for p in image.topics["t"].partitions))
    assert sorted(p.owner for p in image.topics["t"].partitions) == [1, 1, 1, 2, 2, 2]
    assert all(p.replicas == (p.owner,) for p in image.topics["t"].partitions)
    assert image.topics["wide"].partitions[0].replicas == (1, 2)
    await metadata.create_topic("new", partitions=4)
    assert {p.owner for p in metadata.image.topics["new"].partitions} == {1, 2}
    await cluster.crash(1)
    async with asyncio.timeout(30):
        await cluster.metadata(2).refresh()
        await cluster.metadata(2).until(lambda image: all(p.owner == 2 for p in image.topics["new"].partitions))
    for index in range(6):
        again = await (await cluster.log(2, index)).append(make_batch(producer=5, sequence=0), acks=-1)
        assert again.base_offset == 0


async def test_a_drain_with_nobody_to_take_over_is_refused(cluster: Any) -> None:
    await cluster.start(0)
    metadata = cluster.metadata()
    await metadata.create_topic("t", partitions=1)
    with pytest.raises(EligibleLeadersNotAvailable, match="start or uncordon"):
        await metadata.change(lambda tx: moves.drain(tx, 0))
    assert not (await metadata.refresh()).brokers[0].cordoned


async def test_a_broker_that_returns_takes_nothing_back_until_an_election_says_so(cluster: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(1).create_topic("t", partitions=1, assignments={0: [0]})
    await cluster.crash(0)
    await cluster.log(1)
    await cluster.start(0)
    metadata = cluster.metadata(1)
    partition = (await metadata.refresh()).partition("t", 0)
    assert (partition.owner, partition.replicas, partition.isr) == (1, (0, 1), (0, 1))
    await asyncio.sleep(0.5)
    assert (await metadata.refresh()).partition("t", 0).owner == 1
    await metadata.change(lambda tx: moves.prefer(tx, {partition.uid}))
    await cluster.log(0)
    assert (await metadata.refresh()).partition("t", 0).replicas == (0,)


async def test_an_idempotent_producer_crosses_twenty_moves_without_a_duplicate_or_a_gap(
    cluster: Any, make_batch: Any
) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})

    async def append(broker: int, sequence: int) -> int:
        """What a client does: it asks again while it is refused."""
        while True:
            with contextlib.suppress(NotLeaderOrFollower):
                log = await cluster.log(broker)
                return (await log.append(make_batch(producer=5, sequence=sequence), acks=-1)).base_offset

    async with asyncio.timeout(30):
        for move in range(20):
            assert await append(move % 2, move) == move
            if move:
                assert await append(move % 2, move - 1) == move - 1
            await cluster.metadata(move % 2).reassign("t", 0, [(move + 1) % 2])
        assert await append(0, 20) == 20


async def test_a_handover_that_is_asked_again_knows_that_its_ranges_are_closed(cluster: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    metadata = cluster.metadata(0)
    await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    log = await cluster.log(0)
    owner = (0, cluster.brokers[0][1]._epoch)
    await metadata.reassign("t", 0, [1])
    await cluster.log(1)
    assert await metadata.write(lambda tx: commits.hand_over(tx, {log.uid: (log.epoch, 0)}, owner)) == {log.uid}


async def test_nobody_is_declared_dead_because_all_heartbeats_wait_for_the_store(cluster: Any) -> None:
    for broker in (0, 1):
        await cluster.start(broker, running_session_s=0.6)
    holder = await Metadata.open(cluster.metadata_url, clock=SystemClock(), entropy=os.urandom)
    for _ in range(2):
        await holder.write(lambda tx: time.sleep(1.0))
        await asyncio.sleep(0.1)
    await holder.close()
    image = await cluster.metadata(0).refresh()
    assert {b.id: b.alive for b in image.brokers.values()} == {0: True, 1: True}
    assert not [line for line in cluster.said if "is dead" in line]


async def test_a_store_that_failed_must_be_back_before_a_handover_holds_anybody(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    logs = await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    log = await cluster.log(0)
    await log.append(make_batch(), acks=-1)
    put, tries, thrice = logs._store.put, [], asyncio.Event()

    async def away(key: str, data: Any, **_: Any) -> None:
        tries.append(log.closing)
        if len(tries) == 3:
            thrice.set()
        raise KafkaStorageError("the store is away")

    monkeypatch.setattr(logs._store, "put", away)
    await cluster.metadata(0).reassign("t", 0, [1])
    await asyncio.wait_for(thrice.wait(), 30)
    assert tries[:3] == [True, False, False]
    assert (await log.append(make_batch(), acks=-1)).base_offset == 1
    monkeypatch.setattr(logs._store, "put", put)
    assert (await cluster.log(1)).log_end == 2
