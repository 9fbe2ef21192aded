"""Readers behind the tail: they never evict it, get whole and proven bytes, and find their place by time."""

import asyncio
from typing import Any

import pytest

from broker.errors import KafkaStorageError
from broker.log.config import MIB
from broker.records.batch import batches

LAST = 40
EACH = 100_000


async def filled(cluster: Any, make_batch: Any, **config: Any) -> Any:
    """A log of LAST records, one a batch and 1 s apart: all in objects, the newest few in the tail too."""
    await cluster.start(0, wal_bytes=64 * MIB, tail_cache_bytes=10 * EACH, **config)
    await cluster.metadata(0).create_topic("t", partitions=1)
    log = await cluster.log(0)
    for number in range(LAST):
        await log.append(make_batch(at_ms=1000 * (number + 1), size=EACH), acks=1)
    await upload(cluster)
    return log


async def upload(cluster: Any) -> None:
    logs = cluster.brokers[0][1]
    await logs._uploader.upload(list(logs))
    logs._budget.shrink()


async def read_all(log: Any) -> list[int]:
    found: list[int] = []
    while not found or found[-1] < log.high_watermark - 1:
        for data in (await log.read(found[-1] + 1 if found else 0, 300_000, min_one=True)).data:
            found += [batch.base_offset for batch in batches(data)]
    return found


async def test_a_catch_up_reader_leaves_the_tail_as_it_is(cluster: Any, make_batch: Any) -> None:
    log = await filled(cluster, make_batch, block_cache_bytes=MIB)
    logs = cluster.brokers[0][1]
    held = logs._budget.held_bytes
    assert 0 < held <= 10 * EACH
    assert await read_all(log) == list(range(LAST))
    assert await read_all(log) == list(range(LAST))
    assert logs._budget.held_bytes == held
    gets = logs._store.meter.requests["get", "ok"]
    assert (await log.read(LAST - 5, 300_000, min_one=True)).data
    assert logs._store.meter.requests["get", "ok"] == gets, "the newest records are still served from memory"
    assert logs.stats.block.held_bytes <= MIB


async def test_a_reader_from_the_start_asks_for_an_object_in_few_gets_and_no_head(
    cluster: Any, make_batch: Any
) -> None:
    log = await filled(cluster, make_batch)
    logs = cluster.brokers[0][1]
    before = logs._store.meter.requests.copy()
    assert await read_all(log) == list(range(LAST))
    asked = logs._store.meter.requests - before
    assert asked["get", "ok"] <= 1 + LAST * EACH // MIB + 1
    assert asked["head", "ok"] == 0
    assert logs._store.bandwidth.bytes["catch_up"] > 0
    assert logs.stats.block.prefetches > 0


async def test_many_readers_from_the_start_share_what_is_fetched(cluster: Any, make_batch: Any) -> None:
    log = await filled(cluster, make_batch)
    logs = cluster.brokers[0][1]
    before = logs._store.meter.requests["get", "ok"]
    found = await asyncio.gather(*(read_all(log) for _ in range(5)))
    assert found == [list(range(LAST))] * 5
    assert logs._store.meter.requests["get", "ok"] - before <= 1 + LAST * EACH // MIB + 3


async def test_an_object_that_is_damaged_for_good_is_an_error_and_never_served(cluster: Any, make_batch: Any) -> None:
    log = await filled(cluster, make_batch)
    (row,) = await log.ranges_at()
    path = next((cluster.path / "objects" / "objects").rglob(f"{row.object_id:016x}"))
    data = bytearray(path.read_bytes())
    data[EACH] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(KafkaStorageError, match="another checksum"):
        await log.read(0, 300_000, min_one=True)


@pytest.mark.parametrize("restart", ["nothing", "stop", "crash"])
async def test_a_time_finds_its_record_in_objects_and_tail_also_after_a_restart(
    cluster: Any, make_batch: Any, restart: str
) -> None:
    log = await filled(cluster, make_batch)
    for number in range(LAST, LAST + 3):
        await log.append(make_batch(at_ms=1000 * (number + 1), size=EACH), acks=1)
    if restart != "nothing":
        await getattr(cluster, restart)(0)
        await cluster.start(0, wal_bytes=64 * MIB)
        log = await cluster.log(0)
    for number in (0, 1, 17, LAST - 1, LAST, LAST + 2):
        assert await log.offset_for_time(1000 * (number + 1)) == (number, 1000 * (number + 1))
        assert await log.offset_for_time(1000 * (number + 1) - 999) == (number, 1000 * (number + 1))
    assert await log.offset_for_time(1000 * (LAST + 3) + 1) == (-1, -1)
    assert await log.max_timestamp() == (LAST + 2, 1000 * (LAST + 3))


async def test_a_time_inside_a_compressed_batch_is_never_answered_too_late(cluster: Any, make_batch: Any) -> None:
    await cluster.start(0)
    await cluster.metadata(0).create_topic("t", partitions=1)
    log = await cluster.log(0)
    for number in range(6):
        await log.append(make_batch(10, at_ms=1000 * number, size=10), acks=1)
    for uploaded in (False, True):
        for wanted in range(60):
            at_ms = 1000 * (wanted // 10) + wanted % 10
            offset, _ = await log.offset_for_time(at_ms)
            assert wanted - 9 <= offset <= wanted, f"uploaded {uploaded}: {at_ms} ms is record {wanted}"
        await upload(cluster)
