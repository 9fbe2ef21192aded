"""Retention forgets whole ranges, and the sweeper deletes what nobody points at, in that order (law 8)."""

import asyncio
import os
from pathlib import Path
from typing import Any

from broker.errors import KafkaStorageError
from broker.log.housekeeping import expired_before
from broker.log.reader import object_key
from broker.metadata import commits
from broker.metadata.rows import RangeRow


def row(start: int, at_ms: int, size: int = 100) -> RangeRow:
    return RangeRow(start=start, end=start + 10, object_id=start, size_bytes=size, max_timestamp_ms=at_ms)


def test_drops_whole_ranges_by_age_and_by_size() -> None:
    ranges = [row(0, 10), row(10, 20), row(20, 30)]
    assert expired_before(ranges, 300, 25, -1) == 20
    assert expired_before(ranges, 300, None, 150) == 10
    assert expired_before(ranges, 300, None, 300) is None
    assert expired_before(ranges, 300, 5, -1) is None


def files(path: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(path / "objects" / "objects"))


async def controller(logs: Any) -> None:
    for _ in range(3000):
        if logs.is_controller:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody became the controller")


async def test_expired_ranges_go_and_then_their_objects(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0, marked_ttl_s=-1.0, prepared_ttl_s=600.0)
    await controller(logs)
    await cluster.metadata().create_topic("t", partitions=1, configs={"retention.ms": "1000"})
    log = await cluster.log(0)
    await log.append(make_batch(3), acks=1)
    await logs._uploader.upload(list(logs))
    await log.append(make_batch(1, at_ms=logs._clock.wall_ms()), acks=1)
    await logs._uploader.upload(list(logs))
    assert files(cluster.path) == 2
    await logs._upkeep.housekeeping.retain()
    assert (log.log_start, log.high_watermark) == (3, 4)
    await logs._upkeep.housekeeping.sweep()
    assert files(cluster.path) == 1
    assert len((await log.read(3, 1000, min_one=True)).data) == 1
    assert (logs.stats.live_objects, logs.stats.swept_objects) == (1, 1)


async def test_an_upload_that_was_given_up_cannot_be_committed_after_the_sweep(cluster: Any) -> None:
    logs = await cluster.start(0, prepared_ttl_s=-1.0)
    await controller(logs)
    metadata = cluster.metadata()
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    await logs._store.put(object_key(object_id), b"late")
    await logs._upkeep.housekeeping.sweep()
    assert files(cluster.path) == 0
    try:
        await metadata.write(lambda tx: commits.commit(tx, object_id, 4, [], (0, logs._epoch), 0))
    except KafkaStorageError as error:
        assert "given up" in str(error)
    else:
        raise AssertionError("the commit passed")


async def test_nothing_is_swept_when_the_bucket_is_ahead_of_the_metadata(cluster: Any, make_batch: Any) -> None:
    logs = await cluster.start(0, prepared_ttl_s=-1.0)
    await controller(logs)
    await cluster.metadata().write(lambda tx: commits.prepare(tx, 0, 0))
    await logs._store.put(object_key(999), b"from a later life")
    await logs._upkeep.housekeeping.sweep()
    assert files(cluster.path) == 1
    assert any("older copy" in line for line in cluster.said)
