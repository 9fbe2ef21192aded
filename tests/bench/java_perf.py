"""Load through Apache Kafka's own producer-perf-test: the Java client with acks=all, in a JVM of its own each time."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from tests.bench import raw
from tests.bench.arms import MEBIBYTE, Arm
from tests.bench.librdkafka import Load
from tests.bench.tables import Column
from tests.interop import kafka

PATIENCE_S = 300.0
_SAID = re.compile(r"(\d+) records sent, ([\d.]+) records/sec .* ([\d.]+) ms avg latency")


@dataclass(frozen=True, kw_only=True)
class Figure:
    produce_mib_per_s: float
    cpu_s_per_gib: float
    rss_mib: float


COLUMNS = (
    Column(title="produce MiB/s", of=lambda row: row.produce_mib_per_s, over="produce"),
    Column(title="broker CPU s/GiB", of=lambda row: row.cpu_s_per_gib, over="CPU"),
    Column(title="RSS MiB", of=lambda row: row.rss_mib, most=True),
)


def produce(arm: Arm, topic: str, load: Load) -> float:
    """MiB/s by the tool's own clock, which begins when the JVM is up; its compiler warms up within it."""
    size = load.value_bytes
    settings = {
        "bootstrap.servers": arm.bootstrap, "acks": "all", "batch.size": load.batch_bytes, "linger.ms": 5,
        "buffer.memory": 64 * MEBIBYTE, "max.request.size": 1_000_000, "client.id": "bench",
        "enable.metrics.push": "false",
    }  # fmt: skip
    command = kafka.java(
        "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--throughput", "-1", "--record-size",
        str(size), "--num-records", str(load.total_bytes // size), "--producer-props",
        *(f"{name}={value}" for name, value in settings.items()),
    )  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    found = _SAID.findall(done.stdout)
    if done.returncode or not found or int(found[-1][0]) != load.total_bytes // size:
        raise RuntimeError(f"{arm.name}: the tool ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return float(found[-1][1]) * size / MEBIBYTE


def measure(arm: Arm, load: Load, number: int) -> Figure:
    topic = f"java-{load.batch_bytes}-{load.partitions}-{number}"
    raw.make_topic(arm.address, topic, load.partitions, arm.topic_settings)
    before = arm.cpu_s()
    speed = produce(arm, topic, load)
    cpu_s = arm.cpu_s() - before
    return Figure(
        produce_mib_per_s=speed,
        cpu_s_per_gib=cpu_s / (load.total_bytes / 1024 / MEBIBYTE),
        rss_mib=arm.rss_bytes() / MEBIBYTE,
    )
