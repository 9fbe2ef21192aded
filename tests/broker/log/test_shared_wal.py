"""Brokers on `file:///directory?fence=verify`: the fence is the epoch, and a zombie may go on as long as it likes."""

import asyncio
import contextlib
from typing import Any

import pytest

from broker.errors import KafkaError
from broker.log.recovery import RangesGrew, _replay
from broker.metadata import members
from tests.broker.wal.test_disk import until


@pytest.fixture
def shared(cluster: Any) -> Any:
    cluster.wal = "shared"
    return cluster


async def test_a_restart_finds_everything_that_was_acknowledged(shared: Any, make_batch: Any) -> None:
    await shared.start(0)
    await shared.metadata().create_topic("t", partitions=1)
    log = await shared.log(0)
    for _ in range(10):
        await log.append(make_batch(2), acks=-1)
    await shared.crash(0)
    await shared.start(0)
    assert (await shared.log(0)).high_watermark == 20


async def test_a_zombie_acknowledges_nothing_after_its_failover_and_what_it_acknowledged_is_there(
    shared: Any, make_batch: Any
) -> None:
    """Its heart stopped, so it was declared dead; its WAL writes on, as a process does that was stopped and resumed."""
    zombie = await shared.start(0)
    await shared.start(1, running_session_s=0.6)
    await shared.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    log = await shared.log(0)
    for task in list(zombie._tasks):
        task.cancel()
    acknowledged = 0
    with contextlib.suppress(KafkaError):
        while True:
            await asyncio.wait_for(log.append(make_batch(), acks=-1), 30)
            acknowledged += 1
            await asyncio.sleep(0.01)  # a fast disk would fill the WAL before anybody declares this broker dead
    assert "declared dead" in str(await asyncio.wait_for(zombie._wal.failed, 30))
    taken = await shared.log(1)
    assert taken.high_watermark >= acknowledged > 0


async def test_a_zombie_that_commits_during_its_recovery_does_not_make_it_lose_the_rest(
    shared: Any, make_batch: Any
) -> None:
    zombie = await shared.start(0)
    metadata = shared.metadata(0)
    await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    log = await shared.log(0)
    for _ in range(4):
        await log.append(make_batch(), acks=-1)
    duty = await metadata.write(lambda tx: members._assign(tx, 0, zombie._epoch, 0))
    entries = await zombie._wal.read_back([zombie._epoch])
    read = metadata.read

    async def the_zombie_commits_after(work: Any) -> Any:
        found = await read(work)
        metadata.read = read
        await zombie._uploader.upload([log])
        return found

    metadata.read = the_zombie_commits_after
    with pytest.raises(RangesGrew):
        await _replay(metadata, zombie._store, zombie._clock, duty, entries, 0)
    await _replay(metadata, zombie._store, zombie._clock, duty, entries, 0)
    partition = (await metadata.refresh()).partition("t", 0)
    ends = await metadata.read(lambda tx: tx.all("SELECT end_ FROM epochs WHERE uid = ? AND epoch = 0", partition.uid))
    assert [tuple(row) for row in ends] == [(4,)]


async def test_a_wal_that_cannot_be_reached_leaves_its_partitions_offline_and_says_so(
    shared: Any, make_batch: Any
) -> None:
    await shared.start(0)
    await shared.start(1)
    await shared.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    await (await shared.log(0)).append(make_batch(), acks=-1)
    await shared.crash(0)
    wal, away = shared.path / "wal", shared.path / "away"
    wal.rename(away)
    await until(lambda: any("not reachable" in line and "declared lost" in line for line in shared.said))
    assert (await shared.metadata(1).refresh()).partition("t", 0).owner == 0
    if wal.exists():
        wal.rmdir()
    away.rename(wal)
    assert (await shared.log(1)).high_watermark == 1
