"""Catch-up reading beside a tail: `python -m tests.bars.catch_up` (5 GB at 20 MB/s; `--short` for 200 MB).

One broker on a local directory. A backlog is written first and pushed out of the tail cache; then a probe times single
records (acks=all) while the tail is written, alternately without and with a consumer that reads the backlog from the
start. The median of the windows' p99s must grow less than twofold. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, figure
from tests.bars.load import Flow

PARTITIONS = 4
PROBES_PER_S = 50
TIMES_OVER = 2.0
LEAST_MS = 10.0
"""Below this a p99 on a shared machine is noise: growth is taken from here on."""


@dataclass(frozen=True, kw_only=True)
class Window:
    p50_ms: float
    p99_ms: float
    read_bytes: int
    seconds: float


class Probe:
    """One record at a time, at a steady pace, each timed from produce to acknowledgement."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})

    def times_ms(self, seconds: float) -> list[float]:
        found: list[float] = []
        due = begun = time.perf_counter()
        while due < begun + seconds:
            time.sleep(max(due - time.perf_counter(), 0))
            sent = time.perf_counter()
            self._producer.produce("probe", b"probe")
            if self._producer.flush(30):
                raise RuntimeError("a probe was not acknowledged within 30 s")
            found.append(1000 * (time.perf_counter() - sent))
            due = max(due + 1 / PROBES_PER_S, time.perf_counter() - 1)
        return found


class Reader:
    """`read` in a process of its own: its interpreter must not slow the probe."""

    def __init__(self, bootstrap: str, backlog: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bars.catch_up", "--read", bootstrap, str(backlog)], stdout=subprocess.PIPE
        )

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate()


def read(bootstrap: str, backlog: int) -> int:
    """Reads the backlog from its start, again and again, until it is told to stop."""
    while True:
        consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "behind", "enable.auto.commit": False, "log_level": 0,
            "fetch.message.max.bytes": 4 << 20, "queued.max.messages.kbytes": 65536,
        })  # fmt: skip
        consumer.assign([TopicPartition("backlog", partition, 0) for partition in range(PARTITIONS)])
        size = 0
        while size < backlog:
            size += sum(len(message.value() or b"") for message in consumer.consume(1000, 0.2))
        consumer.close()


def fill(bootstrap: str, size: int) -> None:
    """The backlog, as fast as it is taken."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 20, "batch.size": 900_000, "log_level": 0,
        "message.timeout.ms": 600_000, "queue.buffering.max.kbytes": 65536,
    })  # fmt: skip
    value = bytes(range(250)) * 40
    for number in range(size // len(value)):
        while True:
            try:
                producer.produce("backlog", value, partition=number // 100 % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.05)
    if producer.flush(300):
        raise RuntimeError("the backlog could not be written")


def settle(cluster: Cluster) -> None:
    """Waits until little is left to upload."""
    deadline = time.monotonic() + 120
    while figure(cluster.page(0), "kafka_stream_wal_pending_upload_bytes") > 1e6 and time.monotonic() < deadline:
        time.sleep(0.5)


def window(cluster: Cluster, probe: Probe, seconds: float) -> Window:
    """What the probe saw, and what was read from the backlog meanwhile."""
    name, topic = "kafka_network_io_bytes_total", 'topic="backlog"'

    def out() -> float:
        lines = [line for line in cluster.page(0).splitlines() if line.startswith(name) and topic in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'direction="out"' in line)

    before, begun = out(), time.monotonic()
    times = sorted(probe.times_ms(seconds))
    return Window(
        p50_ms=statistics.median(times),
        p99_ms=times[int(len(times) * 0.99)],
        read_bytes=int(out() - before),
        seconds=time.monotonic() - begun,
    )


def run(directory: Path, *, backlog: int, mb_per_s: float, rounds: int, seconds: float) -> list[str]:
    cluster = Cluster(directory, 1, flags=("--upload-interval", "2", "--no-bill"))
    try:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        topics = [NewTopic("backlog", PARTITIONS, 1), NewTopic("tail", PARTITIONS, 1), NewTopic("probe", 1, 1)]
        for future in admin.create_topics(topics).values():
            future.result(30)
        fill(cluster.bootstrap, backlog)
        settle(cluster)
        flow = Flow(cluster.bootstrap, "tail", PARTITIONS, mb_per_s)
        probe = Probe(cluster.bootstrap)
        probe.times_ms(3)
        alone, beside = [], []
        for number in range(rounds):
            alone.append(window(cluster, probe, seconds))
            reader = Reader(cluster.bootstrap, backlog)
            try:
                time.sleep(1)
                beside.append(window(cluster, probe, seconds))
            finally:
                reader.stop()
            print(f"round {number + 1}: alone {shown(alone[-1])}; beside a reader {shown(beside[-1])}", flush=True)
        tail = flow.stop()
    finally:
        cluster.stop()
    return judge(alone, beside, tail, backlog, mb_per_s)


def shown(one: Window) -> str:
    rate = one.read_bytes / 1e6 / one.seconds
    return f"p50 {one.p50_ms:.1f} ms, p99 {one.p99_ms:.1f} ms, {rate:.0f} MB/s read"


def judge(
    alone: list[Window], beside: list[Window], tail: dict[str, float], backlog: int, mb_per_s: float
) -> list[str]:
    before, during = (statistics.median(each.p99_ms for each in windows) for windows in (alone, beside))
    total = sum(each.read_bytes for each in beside)
    growth = during / max(before, LEAST_MS)
    print(
        f"tail produce p99 {before:.1f} ms alone, {during:.1f} ms beside a catch-up reader: {during / before:.2f}"
        f" times; {total / 1e9:.2f} GB read back; the tail was written at {tail['mb_per_s']:.1f} MB/s"
    )
    faults = [f"p99 grew {growth:.2f}-fold"] if growth >= TIMES_OVER else []
    faults += [f"{tail['failed']:.0f} writes of the tail failed"] if tail["failed"] else []
    faults += [f"the tail was written at {tail['mb_per_s']} MB/s"] if tail["mb_per_s"] < 0.9 * mb_per_s else []
    faults += [f"only {total / 1e9:.2f} GB were read beside the tail"] if total < backlog else []
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="200 MB")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        return read(given.read[0], int(given.read[1]))
    form = (
        {"backlog": 200_000_000, "rounds": 3, "seconds": 5.0}
        if given.short
        else {"backlog": 5_000_000_000, "rounds": 5, "seconds": 30.0}
    )
    with tempfile.TemporaryDirectory(prefix="streampilot-catch-up-") as directory:
        faults = run(Path(directory), mb_per_s=20.0, **form)  # type: ignore[arg-type]
    for fault in faults:
        print(f"FAULT {fault}")
    print("NOT CLEAN" if faults else "CLEAN: the tail comes first", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
