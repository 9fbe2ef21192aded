"""prepare -> upload -> commit -> mark -> delete: whatever stops where, no object is left over and none is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.log.housekeeping import Housekeeping
from broker.log.reader import object_key
from broker.metadata import commits
from broker.objects import BadStore
from tests.broker.log.audit import audit
from tests.broker.log.conftest import Cluster, batch
from tests.broker.log.stepping import SteppingBackend, SteppingDatabase, Steps, WoundClock

TTL_S = 700.0
"""More than an object that nobody needs may live."""
SMALL = {"compact_own_bytes": 900, "reconcile_prefixes": 256}


@pytest.fixture
async def wound(tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path)
    cluster.clock = WoundClock()
    yield cluster
    for broker in list(cluster.brokers):
        await cluster.stop(broker)


async def controls(logs: Any) -> Housekeeping:
    async with asyncio.timeout(30):
        while not logs.is_controller:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    housekeeping: Housekeeping = logs._upkeep.housekeeping
    return housekeeping


async def life(cluster: Cluster, logs: Any, written: dict[int, int]) -> None:
    """Everything that makes, moves and ends objects; `written` is partition to acknowledged records."""
    compactor, housekeeping = logs._upkeep.compactor, await controls(logs)
    for _ in range(3):
        for index in range(2):
            log = await cluster.log(0, index)
            await log.append(batch(6), acks=1)
            written[index] = written.get(index, 0) + 6
        await (await cluster.log(0, 0, topic="gone")).append(batch(), acks=1)
        await logs._uploader.upload(list(logs))
    await compactor.compact_shared()
    await (await cluster.log(0, 1)).delete_records(8, now_ms=cluster.clock.wall_ms())
    await cluster.metadata().delete_topic("gone")
    for _ in range(2):
        await (await cluster.log(0, 0)).append(batch(18), acks=1)
        written[0] += 18
        await logs._uploader.upload(list(logs))
    await compactor.compact_shared()
    await compactor.compact_partitions()
    cluster.clock.wind(TTL_S)
    await housekeeping.sweep()


async def started(cluster: Cluster, stop_at: int) -> tuple[Any, Steps]:
    logs = await cluster.start(0, **SMALL)
    steps = Steps(stop_at)
    metadata = cluster.metadata()
    await metadata.create_topic("t", partitions=2)
    await metadata.create_topic("gone", partitions=1)
    logs._store._backend = SteppingBackend(logs._store._backend, steps)
    logs._upkeep.compactor._rewriter._store._backend = logs._store._backend
    metadata._database = SteppingDatabase(metadata._database, steps)
    return logs, steps


async def settle(cluster: Cluster, logs: Any) -> None:
    """What a broker does by itself in the hour after: compaction, and sweeping until there is nothing to sweep."""
    housekeeping = await controls(logs)
    await logs._uploader.upload(list(logs))
    await logs._upkeep.compactor.compact_shared()
    for turn in range(20):
        cluster.clock.wind(TTL_S)
        await housekeeping.sweep()
        if turn >= 2 and not (await audit(cluster.metadata(), logs._store, clock=cluster.clock)).waiting:
            break


async def in_whole(log: Any) -> list[int]:
    """Every offset that a consumer meets from the log start on."""
    log.rewritten()
    offset, met = log.log_start, []
    while offset < log.high_watermark:
        for data in (await log.read(offset, 10_000, min_one=True)).data:
            base = int.from_bytes(data[:8], "big")
            end = base + int.from_bytes(data[23:27], "big") + 1
            met += range(max(base, offset), end)
            offset = end
    return met


STEPS_OF_A_LIFE = 48


async def test_a_life_has_the_steps_that_are_tried(wound: Cluster) -> None:
    logs, steps = await started(wound, 10_000)
    assert not await steps.run(lambda: life(wound, logs, {}))
    assert steps.taken <= STEPS_OF_A_LIFE
    found = await audit(wound.metadata(), logs._store, clock=wound.clock)
    assert found.clean, found


@pytest.mark.parametrize("stop_at", range(1, STEPS_OF_A_LIFE + 1))
async def test_whatever_step_a_crash_comes_at_nothing_is_left_over_or_missing(stop_at: int, wound: Cluster) -> None:
    logs, steps = await started(wound, stop_at)
    written: dict[int, int] = {}
    await steps.run(lambda: life(wound, logs, written))
    await wound.crash(0)
    wound.clock.wind(TTL_S)
    logs = await wound.start(0, **SMALL)
    await settle(wound, logs)
    found = await audit(wound.metadata(), logs._store, clock=wound.clock)
    assert found.clean and not found.waiting, found
    for index, count in written.items():
        log = await wound.log(0, index)
        assert log.high_watermark >= count - 6
        assert await in_whole(log) == list(range(log.log_start, log.high_watermark))
        assert log.log_start in (0, 8)


async def test_what_a_late_put_leaves_behind_is_found_by_listing(wound: Cluster) -> None:
    logs = await wound.start(0, **SMALL)
    housekeeping = await controls(logs)
    metadata = wound.metadata()
    await metadata.create_topic("t", partitions=1)
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, wound.clock.wall_ms()))
    wound.clock.wind(TTL_S)
    await housekeeping.sweep()
    await logs._store.put(object_key(object_id), b"took effect after everybody had given it up")
    assert (await audit(metadata, logs._store, clock=wound.clock)).orphans == (object_key(object_id),)
    await housekeeping.sweep()
    assert logs.stats.unknown_objects == 0
    wound.clock.wind(TTL_S)
    await housekeeping.sweep()
    assert logs.stats.unknown_objects == 1
    assert (await audit(metadata, logs._store, clock=wound.clock)).clean


async def test_an_object_that_is_being_uploaded_is_nobodys_orphan(wound: Cluster) -> None:
    logs = await wound.start(0, **SMALL)
    housekeeping, metadata = await controls(logs), wound.metadata()
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, wound.clock.wall_ms()))
    await logs._store.put(object_key(object_id), b"on its way")
    await housekeeping.sweep()
    found = await audit(metadata, logs._store, clock=wound.clock)
    assert (found.clean, found.waiting) == (True, 1)
    wound.clock.wind(TTL_S)
    assert (await audit(metadata, logs._store, clock=wound.clock)).orphans == (object_key(object_id),)


async def test_sweeping_stops_when_listing_meets_an_id_above_the_newest(wound: Cluster) -> None:
    logs = await wound.start(0, **SMALL)
    housekeeping, metadata = await controls(logs), wound.metadata()
    await housekeeping.sweep()
    old = await metadata.write(lambda tx: commits.prepare(tx, 0, wound.clock.wall_ms()))
    await logs._store.put(object_key(old), b"given up")
    await logs._store.put(object_key(old + 5), b"of a later life")
    await housekeeping.sweep()
    for _ in range(2):
        wound.clock.wind(TTL_S)
        await housekeeping.sweep()
    assert len(await logs._store.list("objects/")) == 2
    assert sum("older copy" in line for line in wound.said) == 1


async def test_a_lost_object_is_found_by_the_audit(wound: Cluster, make_batch: Any) -> None:
    logs = await wound.start(0, **SMALL)
    await wound.metadata().create_topic("t", partitions=1)
    log = await wound.log(0)
    await log.append(make_batch(3), acks=1)
    await logs._uploader.upload(list(logs))
    (row,) = await log.ranges_at()
    await logs._store.delete(object_key(row.object_id))
    found = await audit(wound.metadata(), logs._store, clock=wound.clock)
    assert (found.missing, found.orphans, found.live) == ((object_key(row.object_id),), (), 1)


async def test_a_second_cluster_is_refused_the_prefix_of_the_first(wound: Cluster, tmp_path: Path) -> None:
    await wound.start(0)
    other = Cluster(tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "objects").symlink_to(tmp_path / "objects")
    with pytest.raises(BadStore, match="belongs to cluster"):
        await other.start(1)
