"""`make kill`: kill -9 of a random broker during acks=all production, again and again, and a checker at the end.

Three brokers, two topics: one from an idempotent producer, one not. Each round kills a broker (seeded, printed), keeps
it down until every partition it led takes records elsewhere (measured; at most 10 s), and starts it again. At the end
everything is read back: each acknowledged record must be there, an idempotent producer's exactly once, and offsets must
be contiguous from 0. The last line is the verdict; exit 0 only when it is clean.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.brokers import Brokers, DidNotStart
from tests.watermarks import watermarks

PARTITIONS = 6
LIMIT_S = 10.0
TOPICS = {"once": True, "plain": False}
"""Topic to whether its producer is idempotent."""


@dataclass
class Load:
    """One producing thread; `acked` is what the cluster has promised to keep."""

    bootstrap: str
    topic: str
    idempotent: bool
    acked: set[bytes] = field(default_factory=set)
    sent: int = 0
    failed: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"load-{self.topic}")
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "acks": "all",
                "enable.idempotence": self.idempotent,
                "linger.ms": 5,
                "retries": 1_000_000,
                "delivery.timeout.ms": 120_000,
                "socket.timeout.ms": 5_000,
                "reconnect.backoff.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 2_000,
                "log_level": 0,
            }
        )
        while not self._over.is_set():
            for partition in range(PARTITIONS):
                self._send(producer, partition)
            producer.poll(0.004)
        producer.flush(60)

    def _send(self, producer: Producer, partition: int) -> None:
        value = b"%s-%d" % (self.topic.encode(), self.sent)

        def delivered(error: object, message: object) -> None:
            if error is not None:
                self.failed += 1
                return
            self.acked.add(value)

        try:
            producer.produce(self.topic, value, partition=partition, on_delivery=delivered)
            self.sent += 1
        except BufferError:
            producer.poll(0.05)


def probe(bootstrap: str, partitions: set[int], since: float, topic: str = "probe") -> float:
    """Seconds from `since` until each of the partitions took a record from a producer of its own."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 0,
            "message.timeout.ms": 30_000,
            "retry.backoff.ms": 50,
            "retry.backoff.max.ms": 100,
            "topic.metadata.refresh.interval.ms": 1_000,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )
    failures: list[object] = []
    for partition in partitions:
        producer.produce(
            topic, b"probe", partition=partition, on_delivery=lambda e, _: failures.append(e) if e else None
        )
    left = producer.flush(30)
    if left or failures:
        return float("inf")
    return time.monotonic() - since


def led_by(admin: AdminClient, topics: list[str]) -> dict[int, set[int]]:
    """Broker to the partitions of the probe topic it leads."""
    found: dict[int, set[int]] = {}
    for topic in topics:
        for partition in admin.list_topics(topic, timeout=10).topics[topic].partitions.values():
            found.setdefault(partition.leader, set()).add(partition.id)
    return found


def rounds(brokers: Brokers, kills: int, rng: random.Random, admin: AdminClient) -> list[float]:
    """Kills, measures, starts again; seconds each took until writable."""
    took = []
    for number in range(kills):
        time.sleep(rng.uniform(0.5, 2.0))
        led = led_by(admin, ["probe"])
        victim = rng.choice([broker for broker in brokers.running if led.get(broker)] or brokers.running)
        killed_at = time.monotonic()
        brokers.kill(victim)
        seconds = probe(brokers.bootstrap, led.get(victim, set()) or {0}, killed_at)
        took.append(seconds)
        print(
            f"kill {number + 1}/{kills}: broker {victim} led {sorted(led.get(victim, ()))},"
            f" writable after {seconds:.2f} s",
            flush=True,
        )
        brokers.start(victim)
    return took


def read_back(bootstrap: str, topic: str) -> tuple[Counter[bytes], list[str]]:
    """Every value of the topic with how often it is there, and what is wrong with the offsets."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "checker", "enable.auto.commit": False, "log_level": 0}
    )
    seen: Counter[bytes] = Counter()
    faults: list[str] = []
    try:
        for partition in range(PARTITIONS):
            low, high = watermarks(consumer, topic, partition)
            if low != 0:
                faults.append(f"{topic}-{partition} begins at {low}")
            consumer.assign([TopicPartition(topic, partition, 0)])
            due, deadline = 0, time.monotonic() + 60
            while due < high and time.monotonic() < deadline:
                for message in consumer.consume(5000, 0.5):
                    if message.error():
                        continue
                    if message.offset() != due:
                        faults.append(f"{topic}-{partition}: offset {message.offset()} where {due} is due")
                    due = message.offset() + 1
                    seen[message.value() or b""] += 1
            if due < high:
                faults.append(f"{topic}-{partition}: read up to {due} of {high}")
    except KafkaException as error:
        faults.append(f"{topic}: {error}")
    finally:
        consumer.close()
    return seen, faults


def check(load: Load, seen: Counter[bytes]) -> list[str]:
    """What the cluster did not keep of its promises."""
    faults = []
    if lost := [value for value in load.acked if value not in seen]:
        faults.append(f"{load.topic}: {len(lost)} acknowledged records lost, such as {lost[0]!r}")
    twice = [value for value, count in seen.items() if count > 1]
    if load.idempotent and twice:
        faults.append(f"{load.topic}: {len(twice)} records there more than once, such as {twice[0]!r}")
    return faults


def run(kills: int, seed: int, directory: Path, flags: tuple[str, ...] = (), *, limit_s: float = LIMIT_S) -> bool:
    """The whole test; whether it was clean. What it prints says why not."""
    rng = random.Random(seed)
    print(f"seed {seed}, {kills} kills, {directory}", flush=True)
    brokers = Brokers(directory, flags=("--upload-interval", "3", *flags))
    loads: list[Load] = []
    try:
        brokers.start()
        admin = AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
        for future in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in (*TOPICS, "probe")]).values():
            future.result(20)
        loads = [Load(brokers.bootstrap, topic, idempotent) for topic, idempotent in TOPICS.items()]
        for load in loads:
            load.start()
        took = rounds(brokers, kills, rng, admin)
        time.sleep(1)
        for load in loads:
            load.stop()
        return verdict(brokers, loads, took, limit_s)
    finally:
        for load in loads:
            load.stop()
        brokers.stop()


def verdict(brokers: Brokers, loads: list[Load], took: list[float], limit_s: float) -> bool:
    """Reads everything back and says what came of it."""
    faults = [f"kill {n + 1}: not writable within {limit_s:g} s" for n, s in enumerate(took) if s > limit_s]
    acked = 0
    for load in loads:
        seen, wrong = read_back(brokers.bootstrap, load.topic)
        faults += wrong + check(load, seen)
        acked += len(load.acked)
        if load.idempotent and load.failed:
            faults.append(f"{load.topic}: {load.failed} sends failed though retries were left")
        print(
            f"{load.topic}: {load.sent} sent, {len(load.acked)} acknowledged, {load.failed} failed, {seen.total()} read"
        )
    for fault in faults:
        print(f"FAULT {fault}")
    typical = sorted(took)[len(took) // 2]
    word = "CLEAN" if not faults else "NOT CLEAN"
    print(
        f"{word}: {len(took)} kills, {acked} acknowledged, writable p50 {typical:.2f} s, max {max(took):.2f} s",
        flush=True,
    )
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run; random when left out")
    parser.add_argument("--wal", choices=("disk", "objects"), default="disk", help="the kind of WAL")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    directory = Path(tempfile.mkdtemp(prefix="streampilot-kill-"))
    clean = False
    try:
        clean = run(given.kills, seed, directory, ("--wal", "objects://") if given.wal == "objects" else ())
    except DidNotStart as error:
        print(f"NOT CLEAN: {error}")
    finally:
        if clean and not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
