"""Brokers that keep nothing on their host: slots in the store are their WAL, and the fence is one of them."""

import asyncio
import contextlib
import shutil
from typing import Any

import pytest

from broker.errors import KafkaError
from broker.objects.store import ObjectStore
from broker.wal.holder import HeldByAnother
from broker.wal.slot_layout import FENCE_BYTES
from tests.broker.wal.slot_world import until


@pytest.fixture
def objects(cluster: Any) -> Any:
    cluster.wal = "objects"
    return cluster


def stop_beating(logs: Any) -> None:
    """What SIGSTOP and SIGCONT make of a broker: silent for long enough, and then it goes on as if nothing was."""
    for task in list(logs._tasks):
        task.cancel()


async def slots_in(store: ObjectStore) -> list[tuple[str, int]]:
    return sorted(await store.list("wal/"))


async def test_a_restart_finds_everything_that_was_acknowledged(objects: Any, make_batch: Any) -> None:
    await objects.start(0)
    await objects.metadata().create_topic("t", partitions=1)
    log = await objects.log(0)
    for number in range(10):
        await log.append(make_batch(2, producer=5, sequence=2 * number), acks=-1)
    await objects.crash(0)
    await objects.start(0)
    log = await objects.log(0)
    assert (log.epoch, log.high_watermark) == (1, 20)
    assert (await log.append(make_batch(2, producer=5, sequence=18), acks=-1)).base_offset == 18
    assert (await log.append(make_batch(2, producer=5, sequence=20), acks=-1)).base_offset == 20


async def test_a_clean_stop_leaves_no_slot(objects: Any, make_batch: Any) -> None:
    logs = await objects.start(0)
    await objects.metadata().create_topic("t", partitions=1)
    await (await objects.log(0)).append(make_batch(), acks=-1)
    assert len(await slots_in(logs._store)) == 1
    await objects.stop(0)
    assert await slots_in(logs._store) == []
    await objects.start(0)
    assert (await objects.log(0)).log_end == 1


async def test_a_dead_broker_is_recovered_from_anywhere(objects: Any, make_batch: Any) -> None:
    await objects.start(0)
    await objects.start(1)
    await objects.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    log = await objects.log(0)
    for number in range(5):
        await log.append(make_batch(producer=5, sequence=number), acks=-1)
    await objects.crash(0)
    log = await objects.log(1)
    assert log.high_watermark == 5
    assert (await log.append(make_batch(producer=5, sequence=4), acks=-1)).base_offset == 4
    assert (await log.append(make_batch(producer=5, sequence=5), acks=-1)).base_offset == 5


async def test_a_zombie_meets_the_fence_and_nothing_it_acknowledged_is_lost(objects: Any, make_batch: Any) -> None:
    zombie = await objects.start(0, wal_bytes=256 * 1024 * 1024)
    await objects.start(1)
    await objects.metadata(0).create_topic("t", partitions=1, assignments={0: [0]})
    log = await objects.log(0)
    stop_beating(zombie)
    acknowledged = 0
    with contextlib.suppress(KafkaError):
        while not zombie._wal.failed.done():
            await asyncio.wait_for(log.append(make_batch(), acks=-1), 30)
            acknowledged += 1
            await asyncio.sleep(0.01)  # at full speed the WAL might be full before anybody declares this broker dead
    assert "holds a fence" in str(await asyncio.wait_for(asyncio.shield(zombie._wal.failed), 30))
    assert (await objects.log(1)).high_watermark >= acknowledged > 0


async def test_a_move_needs_nothing_of_the_wal(objects: Any, make_batch: Any) -> None:
    await objects.start(0)
    await objects.start(1)
    metadata = objects.metadata(0)
    await metadata.create_topic("t", partitions=1, assignments={0: [0]})
    log = await objects.log(0)
    await log.append(make_batch(3), acks=-1)
    await metadata.reassign("t", 0, [1])
    moved = await objects.log(1)
    assert (moved.high_watermark, (await moved.append(make_batch(), acks=-1)).base_offset) == (3, 3)


async def test_a_second_process_with_a_live_brokers_id_is_refused(objects: Any) -> None:
    await objects.start(0)
    with pytest.raises(HeldByAnother, match="broker 0 is alive, its heart beats: give this one another --id"):
        await objects.start(0, lock_wait_s=4.0)


async def test_the_sweeper_leaves_the_fences_and_no_slot_that_nobody_needs(objects: Any, make_batch: Any) -> None:
    await objects.start(0)
    survivor = await objects.start(1, housekeeping_s=0.05)
    await objects.metadata(0).create_topic("t", partitions=2, assignments={0: [0], 1: [1]})
    for _ in range(3):
        await (await objects.log(0)).append(make_batch(), acks=-1)
    await objects.crash(0)
    assert (await objects.log(1)).high_watermark == 3
    await (await objects.log(1, index=1)).append(make_batch(), acks=-1)
    root = objects.path / "objects" / "wal"
    await until(lambda: len([path for path in root.rglob("*") if path.is_file()]) == 2)
    fence, live = await slots_in(survivor._store)
    assert fence[0].startswith("wal/0/")
    assert (fence[1], live[1] > FENCE_BYTES) == (FENCE_BYTES, True)
    assert live[0].startswith("wal/1/")


@pytest.mark.parametrize("controller", [0, 1])
async def test_brokers_with_new_ids_recover_what_all_the_old_ones_left(
    objects: Any, make_batch: Any, controller: int
) -> None:
    for broker in (controller, 1 - controller):
        await objects.start(broker)
        await until(lambda: any("is the controller now" in line for line in objects.said))
    await objects.metadata(0).create_topic("t", partitions=2, assignments={0: [0], 1: [1]})
    for index in (0, 1):
        for _ in range(3):
            await (await objects.log(index, index=index)).append(make_batch(), acks=-1)
    for broker in (0, 1):
        await objects.crash(broker)
    shutil.rmtree(objects.path / "wal", ignore_errors=True)
    newcomers = [await objects.start(2), await objects.start(3)]
    opened = {}

    def all_are_open() -> bool:
        opened.update({log.index: log for logs in newcomers for log in logs if log.topic == "t"})
        return len(opened) == 2

    await until(all_are_open)
    assert [log.high_watermark for log in opened.values()] == [3, 3]
    assert not any("broker 0 recovers" in line or "broker 1 recovers" in line for line in objects.said)


async def test_a_store_that_is_away_for_a_while_ends_no_broker(
    objects: Any, make_batch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = await objects.start(0)
    await objects.metadata().create_topic("t", partitions=1)
    log = await objects.log(0)
    backend = logs._store._backend
    put = backend.put

    async def away(key: str, data: bytes, *, create: bool) -> None:
        raise ConnectionError("503 Slow Down")

    monkeypatch.setattr(backend, "put", away)
    waiting = log.append(make_batch(), acks=-1)
    await asyncio.sleep(0.5)
    assert not waiting.done()
    monkeypatch.setattr(backend, "put", put)
    assert (await asyncio.wait_for(waiting, 30)).base_offset == 0
    await until(lambda: logs.ready and not logs.failed.done())
