"""`make bench`: produce and consume through librdkafka, side by side in one run, as ratios.

Arms: our broker (fdatasync before every ack), Apache Kafka as shipped (it does not sync), and Apache Kafka with
`flush.messages=1` (equal durability). The broker under test has core 0, the load has the other; arms alternate, and the
medians' ratio is given with its spread. fdatasync is timed before each round: one over twice the idle median is void.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.interop import kafka

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Arm:
    name: str
    bootstrap: str
    pid: int
    topic_settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Load:
    name: str
    batch_bytes: int
    partitions: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class Figure:
    produce_mib_per_s: float
    consume_mib_per_s: float
    cpu_s_per_gib: float
    rss_mib: float


LOADS = (
    Load(name="16 KiB batches, 1 partition", batch_bytes=16 << 10, partitions=1, total_bytes=96 * MEBIBYTE),
    Load(name="16 KiB batches, 16 partitions", batch_bytes=16 << 10, partitions=16, total_bytes=96 * MEBIBYTE),
    Load(name="900 KiB batches, 1 partition", batch_bytes=900 << 10, partitions=1, total_bytes=192 * MEBIBYTE),
    Load(name="900 KiB batches, 16 partitions", batch_bytes=900 << 10, partitions=16, total_bytes=192 * MEBIBYTE),
)


@contextmanager
def our_broker(directory: Path) -> Iterator[Arm]:
    port = kafka.free_port()
    command = [sys.executable, "-m", "broker.main", "--id", "1", "--dir", str(directory), "--listeners",
               f"PLAINTEXT://127.0.0.1:{port}", "--http", "127.0.0.1:0"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Arm(name="streampilot, fdatasync", bootstrap=ready["kafka"], pid=process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def fdatasync_ms(directory: Path, times: int = 30) -> float:
    """Median milliseconds of a 4 KiB write and its fdatasync, in the directory the WAL uses."""
    took = []
    with (directory / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took)


def produce(arm: Arm, topic: str, load: Load) -> float:
    """Seconds to have every record acknowledged with acks=all."""
    value = os.urandom(min(load.batch_bytes // 8, 8 << 10))
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
    broker = psutil.Process(arm.pid)
    before = sum(broker.cpu_times()[:2])
    produce_s, consume_s = produce(arm, topic, load), consume(arm, topic, load)
    cpu_s = sum(broker.cpu_times()[:2]) - before
    figure = Figure(
        produce_mib_per_s=load.total_bytes / MEBIBYTE / produce_s,
        consume_mib_per_s=load.total_bytes / MEBIBYTE / consume_s,
        cpu_s_per_gib=cpu_s / (load.total_bytes / 1024 / MEBIBYTE),
        rss_mib=broker.memory_info().rss / MEBIBYTE,
    )
    admin.delete_topics([topic])[topic].result(30)
    return figure


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def table(load: Load, figures: dict[str, list[Figure]]) -> str:
    ours = next(iter(figures))
    columns = ("arm", "produce MiB/s", "consume MiB/s", "broker CPU s/GiB", "RSS MiB", "produce, ours over it")
    lines = [f"### {load.name}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, rows in figures.items():
        ratios = [a.produce_mib_per_s / b.produce_mib_per_s for a, b in zip(figures[ours], rows, strict=True)]
        cells = (
            name,
            spread([row.produce_mib_per_s for row in rows]),
            spread([row.consume_mib_per_s for row in rows]),
            spread([row.cpu_s_per_gib for row in rows]),
            f"{max(row.rss_mib for row in rows):.0f}",
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streampilot-bench-")))
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:1])  # what the arms inherit, threads included
        ours = stack.enter_context(our_broker(directory / "ours"))
        bootstrap, pid = stack.enter_context(kafka.running(directory / "kafka"))
        arms = (
            ours,
            Arm(name="Apache Kafka 4.1, as shipped", bootstrap=bootstrap, pid=pid),
            Arm(name="Apache Kafka 4.1, flush.messages=1", bootstrap=bootstrap, pid=pid,
                topic_settings=(("flush.messages", "1"),)),
        )  # fmt: skip
        os.sched_setaffinity(0, cores[1:] or cores)
        idle_ms = fdatasync_ms(directory)
        print(f"fdatasync, idle: {idle_ms:.2f} ms; {rounds} alternating rounds; broker on one core\n")
        for load in LOADS:
            figures: dict[str, list[Figure]] = {arm.name: [] for arm in arms}
            for number in range(rounds):
                if (now_ms := fdatasync_ms(directory)) > 2 * idle_ms:
                    print(f"round {number} of {load.name} is void: fdatasync {now_ms:.2f} ms", file=sys.stderr)
                    continue
                for arm in arms if number % 2 else reversed(arms):
                    figures[arm.name].append(measure(arm, load, number))
                    print(f"{load.name}: round {number}: {arm.name}: {figures[arm.name][-1]}", file=sys.stderr)
            if figures[ours.name]:
                print(table(load, figures) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
