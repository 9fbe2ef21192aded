"""Moves, failovers and restarts: nothing acknowledged is lost, nothing is twice, and who may not write does not
(laws 3 to 5).
"""

import asyncio
from typing import Any

import pytest

from broker.errors import (
    DuplicateResource,
    KafkaError,
    NotLeaderOrFollower,
    UnknownTopicOrPartition,
)
from broker.metadata import NOBODY, Registration, commits, members
from broker.metadata.rows import Extent
from broker.telemetry.cluster import placement, write_cluster
from broker.telemetry.exposition import Page
from broker.wal import ring
from broker.wal.holder import HeldByAnother


@pytest.fixture(params=["sqlite", "postgresql"])
async def cluster(cluster: Any, request: pytest.FixtureRequest, new_store: Any) -> Any:
    """On each kind of metadata store."""
    cluster.metadata_url = await new_store(request.param)
    return cluster


async def test_a_restart_finds_everything_that_was_acknowledged(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    for number in range(10):
        await log.append(make_batch(2, producer=5, sequence=2 * number), acks=-1)
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert (log.epoch, log.log_end, log.high_watermark) == (1, 20, 20)
    assert (await log.append(make_batch(2, producer=5, sequence=18), acks=-1)).base_offset == 18
    assert (await log.append(make_batch(2, producer=5, sequence=20), acks=-1)).base_offset == 20
    assert await log.epoch_end(0) == (0, 20)


async def test_who_announces_new_partitions_has_its_own_open_then(cluster: Any) -> None:
    logs = await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=2)
    await cluster.metadata().add_partitions("t", 6)
    await logs.announce(cluster.metadata().image.topics["t"].partitions)
    assert [logs.get("t", index).log_end for index in range(6)] == [0] * 6


async def test_a_clean_stop_leaves_nothing_to_replay(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    await (await cluster.log(0)).append(make_batch(), acks=-1)
    await cluster.stop(0)
    cluster.said.clear()
    logs = await cluster.start(0)
    assert (await cluster.log(0)).log_end == 1
    assert not any("replay" in line for line in cluster.said)
    assert logs._wal.used_bytes == 0


async def test_a_broker_that_stopped_cleanly_has_departed_until_it_registers_again(cluster: Any) -> None:
    for broker in (0, 1, 2):
        await cluster.start(broker)
    await cluster.stop(1)
    await cluster.crash(2)
    metadata = cluster.metadata(0)
    async with asyncio.timeout(30):
        while True:
            if not (await metadata.refresh()).brokers[2].alive:
                break
            await asyncio.sleep(0.02)
    assert {b.id: (b.alive, b.departed) for b in metadata.image.brokers.values()} == {
        0: (True, False),
        1: (False, True),
        2: (False, False),
    }
    assert registered(metadata.image) == ['{broker_id="0"} 1', '{broker_id="2"} 0']
    await cluster.start(1)
    await metadata.refresh()
    assert registered(metadata.image) == ['{broker_id="0"} 1', '{broker_id="1"} 1', '{broker_id="2"} 0']


def registered(image: Any) -> list[str]:
    """What a scrape would say."""
    page = Page()
    write_cluster(page, placement(image), 0)
    name = "streampilot_registered_broker"
    return [line.removeprefix(name) for line in page.text().splitlines() if line.startswith(name)]


async def test_a_move_carries_producers_and_bumps_the_epoch(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    old = await cluster.log(0)
    await old.append(make_batch(3, producer=5, sequence=0), acks=-1)
    reader = old.wait_for(3)
    await cluster.metadata(1).reassign("t", 0, [1])
    new = await cluster.log(1)
    assert (new.epoch, new.log_end) == (1, 3)
    assert (await new.append(make_batch(3, producer=5, sequence=0), acks=-1)).base_offset == 0
    assert (await new.append(make_batch(3, producer=5, sequence=3), acks=-1)).base_offset == 3
    with pytest.raises(NotLeaderOrFollower) as refused:
        await reader
    assert refused.value.leader == 1
    with pytest.raises(NotLeaderOrFollower):
        old.append(make_batch(), acks=-1)
    partition = (await cluster.metadata(0).refresh()).partition("t", 0)
    assert (partition.owner, partition.replicas, partition.target) == (1, (1,), None)
    history = await cluster.metadata(0).read(lambda tx: commits.epoch_history(tx, partition.uid))
    assert history == [(0, 0), (1, 3)]


async def test_a_move_under_load_loses_and_repeats_nothing(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    acked: list[int] = []

    async def produce() -> None:
        for sequence in range(200):
            while True:
                for _, logs in list(cluster.brokers.values()):
                    try:
                        log = logs.get("t", 0)
                        acked.append(
                            (await log.append(make_batch(1, producer=5, sequence=sequence), acks=-1)).base_offset
                        )
                        break
                    except KafkaError:
                        continue
                else:
                    await asyncio.sleep(0.005)
                    continue
                break

    producing = asyncio.create_task(produce())
    for target in (1, 0, 1):
        await asyncio.sleep(0.05)
        await cluster.metadata(0).reassign("t", 0, [target])
        await cluster.log(target)
    await producing
    assert acked == list(range(200))


async def test_a_dead_brokers_partitions_open_elsewhere_with_everything_in_them(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=2, assignments={0: [0], 1: [0]})
    log = await cluster.log(0)
    await log.append(make_batch(3, producer=5, sequence=0), acks=-1)
    logs = cluster.brokers[0][1]
    await logs._uploader.upload(list(logs))
    await log.append(make_batch(2, producer=5, sequence=3), acks=-1)
    await cluster.crash(0)
    taken = await cluster.log(1)
    assert (taken.epoch, taken.log_end) == (1, 5)
    assert (await taken.append(make_batch(2, producer=5, sequence=3), acks=-1)).base_offset == 3
    assert (await taken.append(make_batch(1, producer=5, sequence=5), acks=-1)).base_offset == 5
    await cluster.log(1, 1)


async def test_a_broker_that_comes_back_after_its_failover_does_not_write_its_old_records_again(
    cluster: Any, make_batch: Any
) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    await (await cluster.log(0)).append(make_batch(4), acks=-1)
    await cluster.crash(0)
    taken = await cluster.log(1)
    await taken.append(make_batch(1), acks=-1)
    logs = await cluster.start(0)
    assert logs._wal.used_bytes == 0
    assert taken.log_end == 5
    assert cluster.metadata(0).image.partition("t", 0).owner == 1


async def test_partitions_wait_for_their_preferred_owner_and_then_for_nobody(cluster: Any) -> None:
    await cluster.start(0)
    await cluster.start(1)
    await cluster.metadata(0).create_topic("t", partitions=2, assignments={0: [0], 1: [1]})
    await cluster.stop(0)
    await cluster.log(1, 0)
    await cluster.stop(1)
    await cluster.start(0)
    assert cluster.metadata(0).image.partition("t", 0).owner == 0
    assert cluster.metadata(0).image.partition("t", 1).owner == NOBODY
    await cluster.log(0, 1)


async def test_a_second_process_with_a_live_brokers_id_is_refused(cluster: Any) -> None:
    await cluster.start(0)
    with pytest.raises(HeldByAnother):
        await cluster.start(0)
    other = Registration(
        id=0, listeners={}, http="", zone=None, spot=False, version="0", host_id="there", wal_url="file:///elsewhere"
    )
    with pytest.raises(DuplicateResource, match="another --id"):
        await cluster.metadata(0).write(lambda tx: members.register(tx, other, 0))


async def test_a_commit_against_a_closed_range_is_refused_and_the_others_in_it_pass(
    cluster: Any, make_batch: Any
) -> None:
    await cluster.start(0)
    await cluster.start(1)
    metadata = cluster.metadata(0)
    await metadata.create_topic("t", partitions=2, assignments={0: [0], 1: [0]})
    first, second = await cluster.log(0, 0), await cluster.log(0, 1)
    owner = (0, cluster.brokers[0][1]._epoch)
    await metadata.reassign("t", 0, [1])
    await cluster.log(1, 0)

    def extent(log: Any) -> Extent:
        return Extent(uid=log.uid, epoch=log.epoch, start=0, end=4, size_bytes=10, max_timestamp_ms=1, producers=b"")

    both = [extent(first), extent(second)]
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    refused = await metadata.write(lambda tx: commits.commit(tx, object_id, 20, both, owner, 0))
    assert refused == {first.uid}
    assert [row.end for row in await metadata.read(lambda tx: commits.ranges(tx, second.uid))] == [4]
    again = await metadata.write(lambda tx: commits.commit(tx, object_id, 20, both, owner, 0))
    assert again == refused


async def test_a_recovery_that_was_taken_over_commits_nothing(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    await (await cluster.log(0)).append(make_batch(), acks=-1)
    logs = cluster.brokers[0][1]
    stale = await cluster.metadata().write(lambda tx: members._assign(tx, 0, logs._epoch, 1))
    await cluster.metadata().write(lambda tx: members._assign(tx, 0, logs._epoch, 2))
    with pytest.raises(Exception, match="belongs to somebody else"):
        await cluster.metadata().write(lambda tx: commits.finish_recovery(tx, stale, None))
    await cluster.metadata().write(lambda tx: tx.run("DELETE FROM recoveries") and None)


async def test_a_deleted_topic_tells_its_waiters_and_marks_its_objects(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0)
    metadata = cluster.metadata()
    await metadata.create_topic("t", partitions=1)
    log = await cluster.log(0)
    await log.append(make_batch(), acks=-1)
    await logs._uploader.upload(list(logs))
    waiting = log.wait_for(1)
    await metadata.delete_topic("t")
    with pytest.raises(UnknownTopicOrPartition):
        await asyncio.wait_for(waiting, 30)
    states = await metadata.read(lambda tx: tx.all("SELECT state FROM objects"))
    assert states == [("marked",)]


async def test_brokers_that_leave_at_the_same_moment_leave_nothing_behind(cluster: Any, make_batch: Any) -> None:
    for broker in range(3):
        await cluster.start(broker)
    await cluster.metadata(0).create_topic("t", partitions=3, assignments={0: [0], 1: [1], 2: [2]})
    for broker in range(3):
        await (await cluster.log(broker, broker)).append(make_batch(), acks=-1)
    await asyncio.gather(*(cluster.stop(broker) for broker in range(3)))
    for broker in range(3):
        await cluster.start(broker, orphan_s=60.0)
    for broker in range(3):
        assert (await cluster.log(broker, broker)).log_end == 1
    open_ranges = await cluster.metadata(0).read(
        lambda tx: tx.all("SELECT broker, count(*) FROM epochs WHERE end_ IS NULL GROUP BY broker ORDER BY broker")
    )
    assert open_ranges == [(0, 1), (1, 1), (2, 1)]


async def test_a_wal_error_ends_the_broker_and_acknowledges_nothing_more(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    logs = await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    await log.append(make_batch(), acks=-1)

    def broken(*what: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ring, "write_durably", broken)
    with pytest.raises(NotLeaderOrFollower):
        await log.append(make_batch(), acks=-1)
    assert "No space left" in str(await asyncio.wait_for(logs.failed, 30))
    monkeypatch.undo()
    with pytest.raises(NotLeaderOrFollower):
        log.append(make_batch(), acks=-1)
    await cluster.stop(0)
    await cluster.start(0)
    assert (await cluster.log(0)).log_end >= 1
