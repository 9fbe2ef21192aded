"""DeleteRecords raises a log's start for good: inside a range, over restarts and moves, and as clients see it."""

import asyncio
from functools import partial
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import OffsetOutOfRangeError

from broker.errors import NotLeaderOrFollower, OffsetOutOfRange
from broker.metadata import commits, deletions
from tests.broker.api.asking import LONG, batch, create, fetch, produce
from tests.broker.api.conftest import Broker, Wire, broker, wire

__all__ = ["broker", "wire"]


@pytest.fixture(params=["sqlite", "postgresql"])
async def cluster(cluster: Any, request: pytest.FixtureRequest, new_store: Any) -> Any:
    """On each kind of metadata store."""
    cluster.metadata_url = await new_store(request.param)
    return cluster


async def two_ranges(cluster: Any, make_batch: Any) -> Any:
    logs = await cluster.start(0)
    await cluster.metadata().create_topic("t", partitions=1)
    log = await cluster.log(0)
    for at_ms in (1000, 2000):
        await log.append(make_batch(4, at_ms=at_ms), acks=1)
        await log.append(make_batch(4, at_ms=at_ms + 500), acks=1)
        await logs._uploader.upload(list(logs))
    await log.append(make_batch(4, at_ms=3000), acks=1)
    return log


async def test_the_start_may_lie_inside_a_range_and_whole_ranges_below_it_go(cluster: Any, make_batch: Any) -> None:
    log = await two_ranges(cluster, make_batch)
    size = log.size_bytes
    assert await log.delete_records(10, now_ms=0) == 10
    assert (log.log_start, log.size_bytes < size) == (10, True)
    with pytest.raises(OffsetOutOfRange):
        await log.read(9, 1000, min_one=True)
    assert len((await log.read(10, 10_000, min_one=True)).data) >= 2
    ranges = await cluster.metadata().read(lambda tx: commits.ranges(tx, log.uid))
    assert [(row.start, row.end) for row in ranges] == [(8, 16)]


async def test_times_before_the_start_lead_to_the_start(cluster: Any, make_batch: Any) -> None:
    log = await two_ranges(cluster, make_batch)
    await log.delete_records(10, now_ms=0)
    assert (await log.offset_for_time(1000))[0] == 10
    await log.delete_records(18, now_ms=0)
    assert (await log.offset_for_time(1000))[0] == 18


async def test_minus_one_deletes_up_to_the_high_watermark_and_nothing_past_it(cluster: Any, make_batch: Any) -> None:
    log = await two_ranges(cluster, make_batch)
    for beyond in (21, -2):
        with pytest.raises(OffsetOutOfRange):
            await log.delete_records(beyond, now_ms=0)
    assert await log.delete_records(-1, now_ms=0) == 20
    assert await log.delete_records(3, now_ms=0) == 20
    assert (await log.read(20, 1000, min_one=True)).data == []
    assert await log.offset_for_time(0) == (-1, -1)


async def test_the_start_survives_a_crash_and_a_move(cluster: Any, make_batch: Any) -> None:
    log = await two_ranges(cluster, make_batch)
    await log.delete_records(18, now_ms=0)
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert (log.log_start, log.high_watermark) == (18, 20)
    await cluster.start(1)
    await cluster.metadata().reassign("t", 0, [1])
    moved = await cluster.log(1)
    assert (moved.log_start, moved.high_watermark) == (18, 20)


async def test_a_leader_that_was_replaced_deletes_nothing(cluster: Any, make_batch: Any) -> None:
    log = await two_ranges(cluster, make_batch)
    with pytest.raises(NotLeaderOrFollower):
        await cluster.metadata().write(lambda tx: deletions.raise_start(tx, log.uid, log.epoch - 1, 8, 0))


async def test_a_real_client_deletes_and_everything_follows_at_once(broker: Broker, wire: Wire) -> None:
    await create(wire, "t")
    for number in range(6):
        await produce(wire, "t", batch(b"%d" % number))
    await create(wire, "compacted", cleanup_policy="compact")
    admin = await asyncio.to_thread(partial(KafkaAdminClient, bootstrap_servers=broker.address))
    try:
        deleted = await asyncio.to_thread(admin.delete_records, {TopicPartition("t", 0): 4})
        assert deleted[TopicPartition("t", 0)]["low_watermark"] == 4
        with pytest.raises(OffsetOutOfRangeError):
            await asyncio.to_thread(admin.delete_records, {TopicPartition("t", 0): 99})
    finally:
        await asyncio.to_thread(admin.close)
    found = await fetch(wire, "t", offset=4)
    assert (found.log_start_offset, int(found.error_code)) == (4, 0)
    assert int((await fetch(wire, "t", offset=3)).error_code) == 1
    asked = [{"name": "t", "partitions": [{"partition_index": 0, "timestamp": -2, "current_leader_epoch": -1}]}]
    listed = await wire.ask(2, 5, replica_id=-1, isolation_level=0, topics=asked)
    assert listed.topics[0].partitions[0].offset == 4


@pytest.mark.parametrize(("topic", "code"), [("compacted", 44), ("__consumer_offsets", 17), ("none", 3)])
async def test_what_may_not_be_deleted_says_why(topic: str, code: int, wire: Wire) -> None:
    await create(wire, "compacted", cleanup_policy="compact")
    await wire.ask(10, 3, key="g", key_type=0)
    assert [await refusal(wire, topic, version) for version in range(3)] == [code] * 3


async def refusal(wire: Wire, topic: str, version: int) -> int:
    asked = [{"name": topic, "partitions": [{"partition_index": 0, "offset": 0}]}]
    found = await wire.ask(21, version, topics=asked, timeout=LONG)
    return int(found.topics[0].partitions[0].error_code)
