"""`python -m tests.bars.scale`: 10,000 partitions on three brokers, scraped every 5 s, against laws 14 and 15.

Created, written (a record to each partition, acks=all), read back (each one), then left idle. Reported of each broker:
idle CPU as a share of a core, memory, CPU of one `/metrics` page, and the longest step of the event loop while busy and
while idle (as the brokers export it, waiting for a core left out). The last line is the verdict; exit 0 when it holds.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, figure, scrape_cpu_s, usage

IDLE_CPU, RSS_BYTES, SCRAPE_CPU_S, STEP_S = 0.05, 500e6, 0.1, 0.02
SCRAPE_EVERY_S = 5.0
STEP, LAG = "streampilot_event_loop_max_step_seconds", "streampilot_event_loop_max_lag_seconds"


@dataclass(frozen=True, kw_only=True)
class Size:
    topics: int
    partitions: int
    idle_s: float

    @property
    def total(self) -> int:
        return self.topics * self.partitions


@dataclass(kw_only=True)
class Result:
    """What was measured; `broken` says which bars were not held."""

    seconds: dict[str, float] = field(default_factory=dict)
    idle_cpu: dict[int, float] = field(default_factory=dict)
    rss_bytes: dict[int, int] = field(default_factory=dict)
    scrape_cpu_s: dict[int, float] = field(default_factory=dict)
    busy_step_s: dict[int, float] = field(default_factory=dict)
    busy_lag_s: dict[int, float] = field(default_factory=dict)
    idle_step_s: dict[int, float] = field(default_factory=dict)
    read_back: int = 0

    def broken(self, size: Size) -> list[str]:
        found = [] if self.read_back == size.total else [f"{self.read_back} of {size.total} partitions read back"]
        for name, figures, limit in (
            ("idle CPU", self.idle_cpu, IDLE_CPU),
            ("memory", self.rss_bytes, RSS_BYTES),
            ("CPU of a scrape", self.scrape_cpu_s, SCRAPE_CPU_S),
            ("busy step", self.busy_step_s, STEP_S),
            ("idle step", self.idle_step_s, STEP_S),
        ):
            found += [f"{name} of broker {b}: {v:.3g} over {limit:.3g}" for b, v in figures.items() if v > limit]
        return found


class Scraper:
    """All pages, every 5 s, as Prometheus does; keeps the highest step and lag of each broker."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self.step_s = dict.fromkeys(cluster.http, 0.0)
        self.lag_s = dict.fromkeys(cluster.http, 0.0)

    def look(self) -> None:
        for broker in self._cluster.http:
            page = self._cluster.page(broker)
            self.step_s[broker] = max(self.step_s[broker], figure(page, STEP))
            self.lag_s[broker] = max(self.lag_s[broker], figure(page, LAG))

    def run(self) -> None:
        while not self._over.wait(SCRAPE_EVERY_S):
            self.look()

    @contextmanager
    def scraping(self) -> Iterator[None]:
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()


def measure(cluster: Cluster, size: Size) -> Result:
    result = Result()
    scraper = Scraper(cluster)
    with scraper.scraping():
        for name, work in (("create", create), ("write", write), ("read", read)):
            began = time.monotonic()
            count = work(cluster.bootstrap, size)
            result.seconds[name] = time.monotonic() - began
            scraper.look()
            print(f"{name}: {count} in {result.seconds[name]:.1f} s; longest steps {told(scraper.step_s)}", flush=True)
        result.read_back = count
        result.busy_step_s, result.busy_lag_s = dict(scraper.step_s), dict(scraper.lag_s)
        settle(size)
        before = {broker: usage(pid) for broker, pid in cluster.pids.items()}
        time.sleep(size.idle_s)
        for broker, pid in cluster.pids.items():
            now = usage(pid)
            result.idle_cpu[broker] = now.share_since(before[broker])
            result.rss_bytes[broker] = now.rss_bytes
    for broker in cluster.pids:
        result.idle_step_s[broker] = figure(cluster.page(broker), STEP)
        result.scrape_cpu_s[broker] = scrape_cpu_s(cluster, broker)
    return result


def settle(size: Size) -> None:
    """Until the last upload is over and, in the full form, the window of the busy steps has passed."""
    time.sleep(3.0 if size.total < 10_000 else 125.0)


def create(bootstrap: str, size: Size) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic(name, num_partitions=size.partitions, replication_factor=3) for name in names(size)]
    for future in admin.create_topics(wanted, request_timeout=300, operation_timeout=300).values():
        future.result()
    return size.total


def write(bootstrap: str, size: Size) -> int:
    acked: list[int] = []
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 50,
            "queue.buffering.max.messages": 200_000,
            "message.timeout.ms": 120_000,
        }
    )
    for name in names(size):
        for partition in range(size.partitions):
            producer.produce(
                name, b"%d" % partition, partition=partition, on_delivery=lambda error, m: error or acked.append(1)
            )
        producer.poll(0)
    producer.flush(120)
    return len(acked)


def read(bootstrap: str, size: Size) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "scale", "enable.auto.commit": False})
    consumer.assign([TopicPartition(name, index, 0) for name in names(size) for index in range(size.partitions)])
    seen: set[tuple[str, int]] = set()
    deadline = time.monotonic() + 120
    while len(seen) < size.total and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            if message.error() is None and message.value() == b"%d" % message.partition():
                seen.add((message.topic(), message.partition()))
    consumer.close()
    return len(seen)


def names(size: Size) -> list[str]:
    return [f"scale-{number}" for number in range(size.topics)]


def told(figures: dict[int, float]) -> str:
    return " ".join(f"{1000 * value:.1f}" for value in figures.values()) + " ms"


def report(result: Result) -> None:
    print(f"idle CPU, of a core:  {' '.join(f'{v:.3f}' for v in result.idle_cpu.values())}  (bar {IDLE_CPU})")
    print(f"memory, MB:           {' '.join(f'{v / 1e6:.0f}' for v in result.rss_bytes.values())}  (bar 500)")
    print(f"CPU of a scrape:      {told(result.scrape_cpu_s)}  (bar 100 ms)")
    print(f"longest step, busy:   {told(result.busy_step_s)}  (bar 20 ms)")
    print(f"longest step, idle:   {told(result.idle_step_s)}  (bar 20 ms)")
    print(f"longest lag, busy:    {told(result.busy_lag_s)}  (with waiting for a core)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--topics", type=int, default=20)
    parser.add_argument("--partitions", type=int, default=500, help="of each topic")
    parser.add_argument("--idle", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--stalls", action="store_true", help="write down where the loops stood when they were late")
    asked = parser.parse_args()
    size = Size(topics=asked.topics, partitions=asked.partitions, idle_s=asked.idle)
    directory = Path(tempfile.mkdtemp(prefix="streampilot-scale-"))
    cluster = Cluster(directory, module="tests.bars.stalls" if asked.stalls else "broker.main")
    try:
        cluster.start()
        result = measure(cluster, size)
    finally:
        cluster.stop()
        if asked.stalls:
            print("\n".join(cluster.narration(broker, 40) for broker in cluster.ports))
        shutil.rmtree(directory, ignore_errors=True)
    report(result)
    broken = result.broken(size)
    print("; ".join(broken) if broken else f"clean: {size.total} partitions on three brokers within all bars")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
