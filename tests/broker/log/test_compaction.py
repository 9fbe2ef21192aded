"""Small objects become large ones; records, offsets and everybody else's work stay as they were."""

import asyncio
import random
from typing import Any

import pytest

from broker.errors import KafkaError, NotLeaderOrFollower
from broker.log.compaction_plan import consecutive, of_partitions, out_of_shared
from broker.log.housekeeping import expired_before
from broker.log.reader import object_key
from broker.metadata import commits, compactions
from broker.metadata.compactions import OWN_LEVEL, Held, NewObject, Swap
from broker.metadata.rows import RangeRow

MIB = 1024 * 1024


@pytest.fixture(params=["sqlite", "postgresql"])
async def cluster(cluster: Any, request: pytest.FixtureRequest, new_store: Any) -> Any:
    """On each kind of metadata store."""
    cluster.metadata_url = await new_store(request.param)
    return cluster


def held(uid: int, start: int, size: int, object_id: int = 1) -> Held:
    row = RangeRow(start=start, end=start + 10, object_id=object_id, size_bytes=size, max_timestamp_ms=start)
    return Held(uid=uid, row=row)


# -- what becomes what -------------------------------------------------------------------------------------------------


def test_a_gap_between_ranges_is_never_closed() -> None:
    runs = consecutive([held(1, 0, 1), held(1, 10, 1), held(1, 30, 1), held(2, 40, 1)])
    assert [(run.uid, run.rows[0].start, run.rows[-1].end) for run in runs] == [(1, 0, 20), (1, 30, 40), (2, 40, 50)]


def test_large_partitions_get_objects_of_their_own_and_small_ones_share_again() -> None:
    ranges = [held(1, 0, 3), held(1, 10, 3), held(2, 0, 1), held(3, 0, 1)]
    outputs = out_of_shared(ranges, 0, 5, 100)
    assert [(o.level, [g.uid for g in o.groups]) for o in outputs] == [(OWN_LEVEL, [1]), (1, [2, 3])]


def test_outputs_are_bounded() -> None:
    outputs = out_of_shared([held(1, 10 * n, 4) for n in range(10)] + [held(n, 0, 4) for n in range(2, 12)], 0, 5, 10)
    assert max(output.size_bytes for output in outputs) <= 10
    assert sum(output.size_bytes for output in outputs) == 80


def test_a_record_is_rewritten_only_when_its_object_becomes_much_larger() -> None:
    assert of_partitions([held(1, 0, 24), held(1, 10, 4)], 64) == []
    (merged,) = of_partitions([held(1, 0, 24), held(1, 10, 4), held(1, 20, 4)], 64)
    assert [row.start for row in merged.groups[0].rows] == [10, 20]
    (merged,) = of_partitions([held(1, 0, 24), held(1, 10, 12), held(1, 20, 12)], 64)
    assert len(merged.groups[0].rows) == 3


def test_ten_days_of_small_uploads_are_rewritten_a_few_times_and_leave_few_objects() -> None:
    """One partition, an object of 1 MiB every five minutes, merged every half hour up to 64 MiB."""
    sizes: list[int] = []
    written = 0
    for minute in range(0, 14_400, 5):
        sizes.append(1)
        if minute % 30 == 0:
            small = [held(1, 10 * n, size) for n, size in enumerate(sizes) if size < 32]
            for output in of_partitions(small, 64):
                rows = output.groups[0].rows
                first = rows[0].start // 10
                sizes[first : first + len(rows)] = [output.size_bytes]
                written += output.size_bytes
    assert len(sizes) < 2880 / 32 + 12
    assert written < 6 * 2880


# -- on a cluster ------------------------------------------------------------------------------------------------------


async def several_uploads(cluster: Any, make_batch: Any, partitions: int = 3, uploads: int = 4, **config: Any) -> Any:
    logs = await cluster.start(0, **config)
    await cluster.metadata().create_topic("t", partitions=partitions)
    for upload in range(uploads):
        for index in range(partitions):
            log = await cluster.log(0, index)
            for _ in range(2):
                await log.append(make_batch(3, at_ms=1000 * (upload + 1)), acks=1)
        await logs._uploader.upload(list(logs))
    return logs


async def everything(log: Any) -> list[bytes]:
    """The log's batches, read over objects only."""
    offset, found = log.log_start, []
    while offset < log.committed_end:
        data = await log._read_objects(offset, 500, True)
        for piece in data or []:
            found.append(bytes(piece))
            offset = offsets_of(piece)[-1] + 1
    return found


def offsets_of(data: bytes) -> range:
    base = int.from_bytes(data[:8], "big")
    return range(base, base + int.from_bytes(data[23:27], "big") + 1)


async def ranges(cluster: Any, log: Any) -> list[RangeRow]:
    return await cluster.metadata().read(lambda tx: commits.ranges(tx, log.uid))


async def test_shared_objects_become_one_and_every_record_is_where_it_was(cluster: Any, make_batch: Any) -> None:
    logs = await several_uploads(cluster, make_batch)
    before = [await everything(log) for log in logs]
    await logs._upkeep.compactor.compact_shared()
    await logs._upkeep.housekeeping.look_again()
    rows = [await ranges(cluster, log) for log in logs]
    assert [[(row.start, row.end) for row in each] for each in rows] == [[(0, 24)]] * 3
    assert len({row.object_id for each in rows for row in each}) == 1
    assert [await everything(log) for log in logs] == before
    log = await cluster.log(0)
    assert await log.offset_for_time(3000) == (12, 3000)
    counts = await cluster.metadata().read(compactions.object_counts)
    assert {state: count for state, (count, _) in counts.items()} == {"committed": 1, "marked": 4}
    assert (logs.stats.compactions, logs.stats.compacted_objects) == (1, 4)


async def test_a_reader_that_held_old_ranges_finds_the_new_ones_when_the_objects_go(
    cluster: Any, make_batch: Any
) -> None:
    logs = await several_uploads(cluster, make_batch, marked_ttl_s=-1.0)
    log = await cluster.log(0)
    old = await log.ranges_at()
    await logs._upkeep.compactor.compact_shared()
    for row in old:
        await logs._store.delete(object_key(row.object_id))
    assert len(await everything(log)) == 8


async def test_a_partition_with_enough_gets_an_object_of_its_own_and_those_are_merged(
    cluster: Any, make_batch: Any
) -> None:
    logs = await several_uploads(cluster, make_batch, compact_own_bytes=1000)
    await logs._upkeep.compactor.compact_shared()
    for _ in range(2):
        for log in logs:
            await log.append(make_batch(18), acks=1)
        await logs._uploader.upload(list(logs))
    await logs._upkeep.compactor.compact_shared()
    log = await cluster.log(0)
    before = await everything(log)
    assert len(await ranges(cluster, log)) == 2
    assert await logs._upkeep.compactor.compact_partitions() is False
    assert [(row.start, row.end) for row in await ranges(cluster, log)] == [(0, 60)]
    log.rewritten()
    assert await everything(log) == before


async def test_ranges_around_an_object_of_ones_own_may_lie_in_one_object_and_are_read_in_order(
    cluster: Any, make_batch: Any
) -> None:
    logs = await several_uploads(cluster, make_batch, uploads=1, own_object_bytes=1500)
    for count in (60, 2):
        for log in logs:
            await log.append(make_batch(count if log.index == 0 else 2), acks=1)
        await logs._uploader.upload(list(logs))
    log = await cluster.log(0)
    before = await everything(log)
    await logs._upkeep.compactor.compact_shared()
    log.rewritten()
    first, second, third = await ranges(cluster, log)
    assert (first.object_id, first.object_id == second.object_id) == (third.object_id, False)
    assert await everything(log) == before
    (data,) = (await log._read_objects(first.end - 1, 10_000, True))[-1:]
    assert offsets_of(bytes(data))[-1] < first.end


async def test_what_retention_or_deletion_took_is_left_out_and_fails_nobody(cluster: Any, make_batch: Any) -> None:
    first, second, third = list(await several_uploads(cluster, make_batch))
    metadata = cluster.metadata()
    rows = {log.uid: tuple(await ranges(cluster, log)) for log in (first, second, third)}
    before = await everything(third)
    await second.delete_records(7, now_ms=0)
    object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))

    def merged(uid: int) -> Swap:
        whole = RangeRow(start=0, end=24, object_id=object_id, size_bytes=8, max_timestamp_ms=0)
        return Swap(uid=uid, old=rows[uid], new=(whole,))

    made = [NewObject(object_id=object_id, size_bytes=8, level=1)]
    swaps = [merged(first.uid), merged(second.uid)]
    for _ in range(2):
        refused = await metadata.write(lambda tx: compactions.swap(tx, made, swaps, 0))
        assert refused == {(second.uid, 0)}
    assert [(row.start, row.end) for row in await ranges(cluster, first)] == [(0, 24)]
    assert [row.start for row in await ranges(cluster, second)] == [6, 12, 18]
    assert await everything(third) == before
    await metadata.delete_topic("t")
    late = await metadata.write(lambda tx: commits.prepare(tx, 0, 0))
    made = [NewObject(object_id=late, size_bytes=8, level=1)]
    assert len(await metadata.write(lambda tx: compactions.swap(tx, made, [merged(third.uid)], 0))) == 1
    counts = await metadata.read(compactions.object_counts)
    assert "committed" not in counts


async def test_of_two_compactors_at_the_same_work_one_comes_late_and_changes_nothing(
    cluster: Any, make_batch: Any
) -> None:
    logs = await several_uploads(cluster, make_batch)
    compactor, rewriter = logs._upkeep.compactor, logs._upkeep.compactor._rewriter
    before = [await everything(log) for log in logs]
    metadata = cluster.metadata()
    sources = await metadata.read(lambda tx: compactions.sources(tx, 0, 0, 100))
    found = await metadata.read(lambda tx: compactions.held_in(tx, [one.object_id for one in sources]))
    (output,) = out_of_shared(found, 0, 4 * MIB, 64 * MIB)
    await asyncio.gather(rewriter.rewrite(output), rewriter.rewrite(output))
    await compactor.compact_shared()
    for log in logs:
        log.rewritten()
    assert [await everything(log) for log in logs] == before
    counts = await metadata.read(compactions.object_counts)
    assert {state: count for state, (count, _) in counts.items()} == {"committed": 1, "marked": 5}


async def test_a_lease_is_held_by_one_live_broker_until_it_expires(cluster: Any) -> None:
    first, second = await cluster.start(0), await cluster.start(1)
    metadata = cluster.metadata()

    async def take(logs: Any, now_ms: int) -> int | None:
        me = (logs._id, logs._epoch)
        return await metadata.write(lambda tx: compactions.take_lease(tx, "shared/0", *me, now_ms=now_ms, ttl_ms=1000))

    assert await take(first, 0) == 1
    assert await take(second, 500) is None
    assert await take(first, 900) == 1
    assert await take(second, 1500) is None
    assert await take(second, 2000) == 2
    assert await take(first, 2100) is None
    await cluster.stop(1)
    assert await take(first, 2200) == 3


async def test_objects_of_an_absent_broker_are_looked_after_by_another(cluster: Any, make_batch: Any) -> None:
    await several_uploads(cluster, make_batch)
    other = await cluster.start(1)
    await cluster.stop(0)
    log = await cluster.log(1)
    await other._upkeep.compactor.compact_shared()
    assert len(await cluster.metadata(1).read(lambda tx: commits.ranges(tx, log.uid))) == 1


async def test_a_missing_object_stops_the_compaction_of_its_partitions_and_is_said(
    cluster: Any, make_batch: Any
) -> None:
    logs = await several_uploads(cluster, make_batch, uploads=2)
    other = (await cluster.metadata().create_topic("u", partitions=1)).partitions[0]
    for _ in range(2):
        await (await cluster.log(0, topic="u")).append(make_batch(), acks=1)
        await (await cluster.log(0)).append(make_batch(), acks=1)
        await logs._uploader.upload(list(logs))
    lost = (await ranges(cluster, await cluster.log(0, 1)))[0].object_id
    await logs._store.delete(object_key(lost))
    for _ in range(2):
        await logs._upkeep.compactor.compact_shared()
    assert len(await cluster.metadata().read(lambda tx: commits.ranges(tx, other.uid))) == 1
    assert [len(await ranges(cluster, await cluster.log(0, index))) for index in range(3)] == [4, 2, 2]
    assert sum("not compacted any more" in line for line in cluster.said) == 1
    assert logs.stats.missing_objects == 1


async def test_damage_is_found_before_it_is_copied(cluster: Any, make_batch: Any) -> None:
    logs = await several_uploads(cluster, make_batch, uploads=2)
    row = (await ranges(cluster, await cluster.log(0)))[0]
    path = cluster.path / "objects" / object_key(row.object_id)
    content = bytearray(path.read_bytes())
    content[70] ^= 1
    path.write_bytes(content)
    await logs._upkeep.compactor.compact_shared()
    assert len(await ranges(cluster, await cluster.log(0))) == 2
    assert any("not what was written" in line for line in cluster.said)


async def test_retention_by_age_and_size_holds_for_compacted_ranges(cluster: Any, make_batch: Any) -> None:
    logs = await several_uploads(cluster, make_batch, partitions=2)
    await logs._upkeep.compactor.compact_shared()
    log = await cluster.log(0)
    await log.append(make_batch(at_ms=9000), acks=1)
    await logs._uploader.upload(list(logs))
    rows = await ranges(cluster, log)
    assert [(row.start, row.end, row.max_timestamp_ms) for row in rows] == [(0, 24, 4002), (24, 25, 9000)]
    assert expired_before(rows, log.size_bytes, 4003, -1) == 24
    assert expired_before(rows, log.size_bytes, 4002, -1) is None


@pytest.mark.parametrize("seed", range(3))
async def test_compaction_beside_appends_uploads_deletes_and_moves_loses_nothing(
    seed: int, cluster: Any, make_batch: Any
) -> None:
    rng = random.Random(seed)
    config = {"compact_own_bytes": 3000, "compact_object_bytes": 20_000, "marked_ttl_s": 600.0}
    for broker in (0, 1):
        await cluster.start(broker, **config)
    await cluster.metadata().create_topic("t", partitions=4, assignments={n: [n % 2] for n in range(4)})
    counts = [0] * 4
    starts = [0] * 4

    async def led(index: int) -> Any:
        async with asyncio.timeout(30):
            while True:
                for _, logs in cluster.brokers.values():
                    try:
                        return logs, logs.get("t", index)
                    except KafkaError:
                        await asyncio.sleep(0.01)

    async def step() -> None:
        logs, log = await led(index := rng.randrange(4))
        match rng.randrange(7):
            case 0 | 1 | 2:
                await log.append(make_batch(n := rng.randint(1, 20)), acks=1)
                counts[index] += n
            case 3:
                await logs._uploader.upload(list(logs))
            case 4:
                await logs._upkeep.compactor.compact_shared()
                await logs._upkeep.compactor.compact_partitions()
            case 5 if rng.random() < 0.3:
                start = rng.randint(starts[index], counts[index])
                starts[index] = await log.delete_records(start, now_ms=0)
            case 6:
                await cluster.metadata(logs._id).reassign("t", index, [rng.randrange(2)])

    for _ in range(60):
        for outcome in await asyncio.gather(*(step() for _ in range(3)), return_exceptions=True):
            assert outcome is None or isinstance(outcome, NotLeaderOrFollower), outcome
    for index in range(4):
        logs, log = await led(index)
        await logs._uploader.upload(list(logs))
        assert log.log_start == starts[index]
        found = await everything(log)
        offsets = [offset for data in found for offset in offsets_of(data)]
        assert [offset for offset in offsets if offset >= starts[index]] == list(range(starts[index], log.log_end))
        assert log.log_end >= counts[index]
