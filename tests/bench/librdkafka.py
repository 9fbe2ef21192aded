"""Load through librdkafka, as applications make it: its own batching, and one process that also reads back."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bench.arms import MEBIBYTE, Arm
from tests.bench.tables import Column


@dataclass(frozen=True, kw_only=True)
class Load:
    name: str
    batch_bytes: int
    partitions: int
    total_bytes: int

    @property
    def value_bytes(self) -> int:
        """Of one record: some fill a batch."""
        return min(self.batch_bytes // 8, 8 << 10)


@dataclass(frozen=True, kw_only=True)
class Figure:
    produce_mib_per_s: float
    consume_mib_per_s: float
    cpu_s_per_gib: float
    rss_mib: float


COLUMNS = (
    Column(title="produce MiB/s", of=lambda row: row.produce_mib_per_s, over="produce"),
    Column(title="consume MiB/s", of=lambda row: row.consume_mib_per_s),
    Column(title="broker CPU s/GiB", of=lambda row: row.cpu_s_per_gib, over="CPU"),
    Column(title="RSS MiB", of=lambda row: row.rss_mib, most=True),
)
LOADS = (
    Load(name="16 KiB batches, 1 partition", batch_bytes=16 << 10, partitions=1, total_bytes=96 * MEBIBYTE),
    Load(name="16 KiB batches, 16 partitions", batch_bytes=16 << 10, partitions=16, total_bytes=96 * MEBIBYTE),
    Load(name="900 KiB batches, 1 partition", batch_bytes=900 << 10, partitions=1, total_bytes=192 * MEBIBYTE),
    Load(name="900 KiB batches, 16 partitions", batch_bytes=900 << 10, partitions=16, total_bytes=192 * MEBIBYTE),
)


def produce(arm: Arm, topic: str, load: Load) -> float:
    """Seconds to have every record acknowledged with acks=all."""
    value = os.urandom(load.value_bytes)
    producer = Producer({
        "bootstrap.servers": arm.bootstrap, "acks": "all", "batch.size": load.batch_bytes, "linger.ms": 5,
        "message.max.bytes": 1_000_000, "queue.buffering.max.kbytes": 65536, "batch.num.messages": 100_000,
    })  # fmt: skip
    failed: list[str] = []
    started = time.perf_counter()
    for number in range(load.total_bytes // len(value)):
        while True:
            try:
                producer.produce(topic, value, partition=number // 256 % load.partitions,
                                 on_delivery=lambda error, _: failed.append(str(error)) if error else None)  # fmt: skip
                break
            except BufferError:
                producer.poll(0.05)
    unsent = producer.flush(120)
    if failed or unsent:
        raise RuntimeError(f"{arm.name}: {len(failed)} records failed, {unsent} unsent: {failed[:1]}")
    return time.perf_counter() - started


def consume(arm: Arm, topic: str, load: Load) -> float:
    """Seconds to read every record from the beginning."""
    consumer = Consumer({"bootstrap.servers": arm.bootstrap, "group.id": "bench", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "fetch.message.max.bytes": 4 * MEBIBYTE})  # fmt: skip
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(load.partitions)])
    read, started = 0, time.perf_counter()
    heard = started
    while read < load.total_bytes:
        messages = consumer.consume(500, timeout=0.2)
        heard = time.perf_counter() if messages else heard
        if time.perf_counter() - heard > 10:
            raise RuntimeError(f"{arm.name}: {read} of {load.total_bytes} bytes came, then nothing for 10 s")
        read += sum(len(message.value() or b"") for message in messages)
    took = time.perf_counter() - started
    consumer.close()
    return took


def measure(arm: Arm, load: Load, number: int) -> Figure:
    topic = f"bench-{load.batch_bytes}-{load.partitions}-{number}"
    admin = AdminClient({"bootstrap.servers": arm.bootstrap})
    made = admin.create_topics([NewTopic(topic, load.partitions, 1, config=dict(arm.topic_settings))])
    made[topic].result(30)
    before = arm.cpu_s()
    produce_s, consume_s = produce(arm, topic, load), consume(arm, topic, load)
    cpu_s = arm.cpu_s() - before
    figure = Figure(
        produce_mib_per_s=load.total_bytes / MEBIBYTE / produce_s,
        consume_mib_per_s=load.total_bytes / MEBIBYTE / consume_s,
        cpu_s_per_gib=cpu_s / (load.total_bytes / 1024 / MEBIBYTE),
        rss_mib=arm.rss_bytes() / MEBIBYTE,
    )
    admin.delete_topics([topic])[topic].result(30)
    return figure
