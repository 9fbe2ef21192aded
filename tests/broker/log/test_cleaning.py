"""A compacted topic on a real broker: dirty enough, through the worker, and read by real clients afterwards."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Consumer as LibrdkafkaConsumer
from confluent_kafka import TopicPartition as LibrdkafkaPartition

from broker.errors import KafkaError
from broker.metadata import commits, compactions
from tests.broker.api.asking import create, produce
from tests.broker.api.conftest import Broker, Wire, broker, wire
from tests.broker.log.logs_of_keys import CODECS, keyed, read_by_a_client

__all__ = ["broker", "wire"]


async def compacted(cluster: Any, *, config: dict[str, Any] | None = None, **configs: str) -> tuple[Any, Any]:
    logs = await cluster.start(0, **(config or {}))
    given = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0"}
    given |= {name.replace("_", "."): value for name, value in configs.items()}
    await cluster.metadata().create_topic("t", partitions=1, configs=given)
    return logs, await cluster.log(0)


async def upload(logs: Any, log: Any, *data: bytes) -> None:
    for one in data:
        await log.append(one, acks=1)
    await logs._uploader.upload(list(logs))


async def offsets(log: Any) -> list[int]:
    offset, found = log.log_start, []
    while offset < log.high_watermark:
        data = b"".join(bytes(piece) for piece in (await log.read(offset, 1_000, min_one=True)).data)
        if not data:
            break
        seen = [record.offset for record in read_by_a_client(data)]
        found += seen
        offset = max([offset, *seen]) + 1
    return found


async def test_a_log_is_cleaned_in_a_process_of_its_own_and_read_over_its_gaps(cluster: Any) -> None:
    logs, log = await compacted(cluster)
    for number in range(4):
        await upload(logs, log, keyed([(b"a", b"%d" % number), (b"b%d" % number, b"x")], codec=CODECS[number + 1]))
    await log.append(keyed([(b"a", b"in the tail")]), acks=1)
    size = log.size_bytes
    assert await logs._upkeep.cleaning.clean() is False
    assert await offsets(log) == [1, 3, 5, 6, 7, 8]
    assert [record.offset for record in read_by_a_client(bytes((await log.read(0, 1, min_one=True)).data[0]))] == [1]
    assert (log.log_start, log.high_watermark, log.size_bytes < size) == (0, 9, True)
    assert logs.stats.cleaned_records == 3
    assert await log.offset_for_time(0) == (1, 1001) or (await log.offset_for_time(0))[0] <= 1
    await cluster.crash(0)
    logs = await cluster.start(0)
    assert await offsets(await cluster.log(0)) == [1, 3, 5, 6, 7, 8]


async def test_what_was_cleaned_is_not_cleaned_again_until_it_is_dirty(cluster: Any) -> None:
    logs, log = await compacted(cluster, min_cleanable_dirty_ratio="0.5")
    await upload(logs, log, keyed([(b"%d" % n, b"x" * 50) for n in range(20)]))
    await logs._upkeep.cleaning.clean()
    assert (logs.stats.cleanings, logs.stats.dirtiest_ratio) == (1, 1.0)
    await upload(logs, log, keyed([(b"1", b"y" * 50)]))
    await logs._upkeep.cleaning.clean()
    assert logs.stats.cleanings == 1
    assert 0 < logs.stats.dirtiest_ratio < 0.5
    await upload(logs, log, keyed([(b"%d" % n, b"y" * 60) for n in range(20)]))
    await logs._upkeep.cleaning.clean()
    assert logs.stats.cleanings == 2
    assert await offsets(log) == list(range(21, 41))


async def test_young_records_wait_and_old_ones_do_not(cluster: Any) -> None:
    logs, log = await compacted(cluster, min_compaction_lag_ms="3600000")
    now_ms = logs._clock.wall_ms()
    await upload(logs, log, keyed([(b"a", b"1"), (b"a", b"2")], at_ms=1000))
    await upload(logs, log, keyed([(b"a", b"3"), (b"a", b"4")], at_ms=now_ms))
    await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [1, 2, 3]
    await cluster.metadata().alter_configs("topic", "t", {"min.cleanable.dirty.ratio": "1.0"})
    await upload(logs, log, keyed([(b"b", b"1")], at_ms=now_ms))
    await logs._upkeep.cleaning.clean()
    assert logs.stats.cleanings == 1
    await cluster.metadata().alter_configs("topic", "t", {"max.compaction.lag.ms": "1", "min.compaction.lag.ms": "0"})
    await asyncio.sleep(0.01)
    await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [3, 4]


async def test_a_log_that_was_emptied_leads_on_to_its_tail(cluster: Any) -> None:
    logs, log = await compacted(cluster, delete_retention_ms="0")
    await upload(logs, log, keyed([(b"a", None), (None, b"x"), (b"a", None)]))
    await logs._upkeep.cleaning.clean()
    await upload(logs, log, keyed([(b"b", None)]))
    await logs._upkeep.cleaning.clean()
    await log.append(keyed([(b"c", b"1")]), acks=1)
    assert await offsets(log) == [3, 4]
    assert (await log.read(0, 1, min_one=False)).data == []
    await upload(logs, log, keyed([(b"b", b"2")]))
    await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [4, 5]


async def test_a_log_that_is_compacted_and_deleted_loses_whole_ranges_by_age(cluster: Any) -> None:
    logs, log = await compacted(cluster, cleanup_policy="compact,delete", retention_ms="3600000")
    await upload(logs, log, keyed([(b"a", b"1"), (b"b", b"1")], at_ms=1000))
    await upload(logs, log, keyed([(b"a", b"2")], at_ms=logs._clock.wall_ms()))
    await logs._upkeep.housekeeping.retain()
    assert log.log_start == 2
    await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [2]


async def test_a_bomb_is_left_as_it_is_and_said_once(cluster: Any) -> None:
    logs, log = await compacted(cluster, config={"clean_batch_bytes": 100_000})
    bomb = keyed([(b"a", bytes(10_000_000))], codec="zstd")
    for _ in range(2):
        await upload(logs, log, bomb, keyed([(b"a", b"1")]), keyed([(b"a", b"2")]))
        await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [0, 3, 5]
    assert sum("left as they are" in line for line in cluster.said) == 1


async def test_a_cleaning_that_lost_its_leadership_changes_nothing(cluster: Any) -> None:
    logs, log = await compacted(cluster)
    await upload(logs, log, keyed([(b"a", b"1"), (b"a", b"2")]))
    before = await cluster.metadata().read(lambda tx: commits.ranges(tx, log.uid))
    log.epoch += 1
    await logs._upkeep.cleaning.clean()
    log.epoch -= 1
    assert await cluster.metadata().read(lambda tx: commits.ranges(tx, log.uid)) == before
    assert logs.stats.cleanings == 0


async def test_a_worker_that_takes_too_long_is_killed_and_the_log_is_as_it_was(cluster: Any) -> None:
    logs, log = await compacted(cluster, config={"clean_timeout_s": 0.0})
    await upload(logs, log, keyed([(b"a", b"1"), (b"a", b"2")]))
    with pytest.raises(KafkaError, match="cleaning t-0"):
        await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [0, 1]
    assert logs.stats.cleaning_failures == 1
    assert await logs._upkeep.cleaning.clean() is False
    assert await cluster.metadata().read(lambda tx: compactions.clean_points(tx, [log.uid])) == {}


async def test_a_wall_clock_that_stepped_pauses_cleaning(cluster: Any) -> None:
    logs, log = await compacted(cluster)
    await upload(logs, log, keyed([(b"a", b"1"), (b"a", b"2")]))
    logs._upkeep.housekeeping._watch._offset_s -= 1000
    await logs._upkeep.cleaning.clean()
    assert await offsets(log) == [0, 1]


async def test_an_uncompressed_record_without_a_key_is_refused_at_the_door(wire: Wire) -> None:
    await create(wire, "t", cleanup_policy="compact")
    refused = await produce(wire, "t", keyed([(b"a", b"1"), (None, b"2")]))
    assert int(refused.error_code) == 87
    assert int((await produce(wire, "t", keyed([(b"a", b"1"), (b"b", b"2")]))).error_code) == 0
    assert int((await produce(wire, "t", keyed([(None, b"2")], codec="zstd"))).error_code) == 0


async def written_and_cleaned(broker: Broker, wire: Wire) -> None:
    await create(wire, "t", cleanup_policy="compact", min_cleanable_dirty_ratio="0", delete_retention_ms="0")
    logs = broker.node._logs
    log = logs.get("t", 0)
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.address, compression_type=codec, enable_idempotence=True, linger_ms=20
        )
        await producer.start()
        for number in range(30):
            await producer.send("t", key=b"%d" % (number % 10), value=f"{codec}-{number}".encode())
        await producer.stop()
        await logs._uploader.upload(list(logs))
    await logs._upkeep.cleaning.clean()
    producer = AIOKafkaProducer(bootstrap_servers=broker.address)
    await producer.start()
    await producer.send_and_wait("t", key=b"3", value=None)
    await producer.stop()
    assert log.high_watermark == 151


EXPECTED = [(b"%d" % n, f"zstd-{20 + n}".encode()) for n in range(10)] + [(b"3", None)]


async def test_aiokafka_reads_a_cleaned_topic_to_its_end(broker: Broker, wire: Wire) -> None:
    await written_and_cleaned(broker, wire)
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition("t", 0)])
        async with asyncio.timeout(30):
            found = [await consumer.getone() for _ in EXPECTED]
        assert [(record.key, record.value) for record in found] == EXPECTED
        assert found[-1].offset == 150
    finally:
        await consumer.stop()


async def test_librdkafka_reads_a_cleaned_topic_to_its_end(broker: Broker, wire: Wire) -> None:
    await written_and_cleaned(broker, wire)

    def read() -> list[tuple[bytes | None, bytes | None]]:
        consumer = LibrdkafkaConsumer({"bootstrap.servers": broker.address, "group.id": "g"})
        consumer.assign([LibrdkafkaPartition("t", 0, 0)])
        found: list[Any] = []
        while len(found) < len(EXPECTED) and (record := consumer.poll(30)) is not None:
            assert record.error() is None, record.error()
            found.append((record.key(), record.value()))
        consumer.close()
        return found

    assert await asyncio.to_thread(partial(read)) == EXPECTED
