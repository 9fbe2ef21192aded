"""Exactly once under kill -9: `make eos` (MINUTES=, SEED=, CELL=, CLIENT=).

Three brokers, three workers that consume, transform and produce in transactions (with librdkafka, or with CLIENT=java
the Java client, in a JVM each), one source, one read_committed reader from the first moment and another one at the end.
Brokers and workers are killed at random and started again. Clean means: the output is the input, in the order of each
partition, each record once, and no aborted record was ever seen.
The last line is the verdict; the exit code is 0 only when it is CLEAN.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.cells import CELLS
from tests.clients import java_program
from tests.eos.ground import standing
from tests.eos.reading import PARTITIONS, Reader
from tests.faults.brokers import Brokers, DidNotStart

DISK = "sqlite-file-disk"
WORKERS = 3
CLIENTS = ("librdkafka", "java")
SETTLE_S = 120.0
"""For the workers to catch up when all is quiet: a session, a transaction's timeout, and room for a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much, for how long."""

    seed: int
    seconds: float
    records_per_s: int
    broker_kills: int | None = None
    """As many and no more; None: as long as there is time."""
    worker_kills: int | None = None
    cell: str = DISK
    """What the cluster stands on: one of the names in tests/chaos/cells.py."""
    client: str = "librdkafka"
    """Whose workers: one of CLIENTS."""


@dataclass(kw_only=True)
class Tally:
    broker_kills: int = 0
    worker_kills: int = 0
    faults: list[str] = field(default_factory=list)


class Source(threading.Thread):
    """Writes numbers to "in", each partition counting by itself."""

    def __init__(self, bootstrap: str, records_per_s: int) -> None:
        super().__init__(daemon=True)
        self.sent = Counter(dict.fromkeys(range(PARTITIONS), 0))
        self.failed = 0
        self._rate = records_per_s
        self._ended = threading.Event()
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "message.timeout.ms": 300_000, "log_level": 0}
        )

    def run(self) -> None:
        while not self._ended.wait(0.05):
            for _ in range(max(self._rate // 20, 1)):
                index = min(self.sent, key=lambda each: self.sent[each])
                value = str(self.sent[index]).encode()
                self._producer.produce("in", value, partition=index, on_delivery=self._delivered)
                self.sent[index] += 1
            self._producer.poll(0)
        self._producer.flush(120)

    def _delivered(self, error: object, _message: object) -> None:
        self.failed += error is not None

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=150)


class Workers:
    """Their processes; narration goes to DIR/worker-N.err."""

    def __init__(self, bootstrap: str, directory: Path, seed: int, client: str) -> None:
        self._bootstrap, self._directory, self._seed, self._client = bootstrap, directory, seed, client
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lives = 0

    def start(self, number: int) -> None:
        self._lives += 1
        what = (self._bootstrap, f"worker-{number}", f"{self._seed}.{self._lives}")
        command = [sys.executable, "-m", "tests.eos.worker", *what]
        if self._client == "java":
            command = java_program.command("Transforming", *what)
        with (self._directory / f"worker-{number}.err").open("ab") as narration:
            self._running[number] = subprocess.Popen(command, stderr=narration)

    def kill(self, number: int) -> None:
        process = self._running.pop(number)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for number in list(self._running):
            self.kill(number)


def make_topics(bootstrap: str) -> None:
    wanted = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in ("in", "out")]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.create_topics(wanted).values():
        done.result(30)


def havoc(brokers: Brokers, workers: Workers, plan: Plan, tally: Tally) -> None:
    """Kills and starts again, until the time is over."""
    rng = random.Random(plan.seed)
    end = time.monotonic() + plan.seconds
    while True:
        time.sleep(rng.uniform(1.5, 5.0))
        if time.monotonic() >= end:
            return
        ripe = [
            ("broker", plan.broker_kills is None or tally.broker_kills < plan.broker_kills),
            ("worker", plan.worker_kills is None or tally.worker_kills < plan.worker_kills),
        ]
        what = rng.choice([name for name, wanted in ripe if wanted] or ["nothing"])
        if what == "broker":
            victim = rng.choice(brokers.running)
            brokers.kill(victim)
            tally.broker_kills += 1
            time.sleep(rng.choice([0.0, 1.0, 6.0]))
            brokers.start(victim)
        elif what == "worker":
            number = rng.randrange(WORKERS)
            workers.kill(number)
            tally.worker_kills += 1
            workers.start(number)


def run(plan: Plan, directory: Path) -> bool:
    """Whether it was clean; the last line that is printed says so."""
    print(
        f"{plan.cell}, {plan.client}: seed {plan.seed}, {plan.seconds:g} s, {plan.records_per_s} records a second,"
        f" in {directory}",
        flush=True,
    )
    with standing(CELLS[plan.cell], directory) as brokers:
        return run_on(brokers, plan, directory)


def run_on(brokers: Brokers, plan: Plan, directory: Path) -> bool:
    """The same, on brokers that are still to be started."""
    workers = Workers(brokers.bootstrap, directory, plan.seed, plan.client)
    tally = Tally()
    try:
        brokers.start()
        make_topics(brokers.bootstrap)
        source, reader = Source(brokers.bootstrap, plan.records_per_s), Reader(brokers.bootstrap)
        source.start()
        reader.start()
        for number in range(WORKERS):
            workers.start(number)
        havoc(brokers, workers, plan, tally)
        source.stop()
        settled = reader.reached(source.sent, SETTLE_S)
        workers.stop()
        again, everything = Reader(brokers.bootstrap), Reader(brokers.bootstrap, isolation="read_uncommitted")
        for one in (again, everything):
            one.start()
        again.reached(source.sent, 60 if settled else 5)
        time.sleep(2)
        for one in (reader, again, everything):
            one.stop()
        return verdict(source, reader, again, everything, tally)
    finally:
        workers.stop()


def verdict(source: Source, reader: Reader, again: Reader, everything: Reader, tally: Tally) -> bool:
    faults = tally.faults + reader.faults + [f"read again: {fault}" for fault in again.faults]
    if source.failed:
        faults.append(f"{source.failed} records of the source were not taken")
    for name, one in (("the reader", reader), ("the second reader", again)):
        faults += [
            f"out-{index}: {one.next[index]} of {source.sent[index]} records came to {name}"
            for index in range(PARTITIONS)
            if one.next[index] != source.sent[index]
        ]
    for fault in faults:
        print(f"FAULT {fault}")
    word = "CLEAN" if not faults else "NOT CLEAN"
    print(
        f"{word}: {source.sent.total()} records in, {again.next.total()} out in their order, {len(faults)} faults;"
        f" {tally.broker_kills} brokers and {tally.worker_kills} clients killed;"
        f" {everything.doomed} aborted records in the log, {reader.doomed + again.doomed} of them seen",
        flush=True,
    )
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cell", choices=tuple(CELLS), default=DISK, help="what the cluster stands on")
    parser.add_argument("--client", choices=CLIENTS, default=CLIENTS[0], help="the workers' client; java needs a JDK")
    parser.add_argument("--rate", type=int, default=150, help="records a second")
    parser.add_argument("--seed", type=int, default=None, help="repeats a run; random when left out")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    if given.client == "java" and (why := java_program.missing()):
        parser.error(why)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    directory = Path(tempfile.mkdtemp(prefix="streampilot-eos-"))
    clean = False
    try:
        plan = Plan(seed=seed, seconds=given.minutes * 60, records_per_s=given.rate, cell=given.cell,
                    client=given.client)  # fmt: skip
        clean = run(plan, directory)
    except DidNotStart as error:
        print(f"NOT CLEAN: {error}")
    finally:
        if clean and not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
