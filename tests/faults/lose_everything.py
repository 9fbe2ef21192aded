"""`make lose-everything`: brokers on a bucket and a database and nothing else; all are killed, and their disks deleted.

Three brokers with `--wal objects://`, objects in an S3 API (moto), metadata in PostgreSQL (or, with --metadata sqlite,
in a file kept aside). While producers write, every broker is killed at once, what they had on disk is deleted, and
three new ones start with empty directories: with the same ids one time, with ids never seen before the next. Producers
go on through all of it. At the end each acknowledged record must be there, an idempotent producer's exactly once, and
offsets contiguous. The last line is the verdict; exit 0 only when it is clean.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.services import BUCKET, S3, Postgres, s3_environment
from tests.faults.brokers import Brokers, DidNotStart
from tests.faults.kill import PARTITIONS, Load, check, probe, read_back

TOPICS = {"once": True, "plain": False}
WRITING_S = 4.0
PROBES = 3
"""Each gives up after half a minute; with new ids the dead are judged one per session, and a busy machine is slow."""


@contextlib.contextmanager
def services(directory: Path, metadata: str) -> Iterator[tuple[str, ...]]:
    """What outlives the brokers; the flags that name it."""
    with S3() as bucket, contextlib.ExitStack() as ends:
        os.environ.update(s3_environment(bucket.port))
        url = f"sqlite://{directory}/metadata.db"
        if metadata == "postgres":
            database = Postgres(directory / "postgres")
            ends.callback(database.stop)
            url = database.url
        yield ("--objects", f"s3://{BUCKET}/cluster", "--wal", "objects://", "--metadata", url, "--no-bill")


class Lives:
    """One life after another on the same ports, each in a directory of its own."""

    def __init__(self, directory: Path, flags: tuple[str, ...]) -> None:
        self._directory, self._flags = directory, (*flags, "--upload-interval", "3")
        self.brokers = Brokers(directory, flags=self._flags)
        self._ports = list(self.brokers.ports.values())
        self._count = 0

    @property
    def bootstrap(self) -> str:
        return self.brokers.bootstrap

    def begin(self, first_id: int) -> None:
        """Three brokers with nothing of their own."""
        self._count += 1
        home = self._directory / f"life-{self._count}"
        home.mkdir()
        self.brokers = Brokers(home, flags=self._flags)
        self.brokers.ports = {first_id + number: port for number, port in enumerate(self._ports)}
        self.brokers.start()

    def end(self) -> None:
        """All at once, and their disks with them."""
        for process in self.brokers._running.values():
            process.send_signal(signal.SIGKILL)
        for broker in self.brokers.running:
            self.brokers.kill(broker)
        shutil.rmtree(self.brokers.directory)


def run(deaths: int, directory: Path, metadata: str) -> bool:
    """The whole test; whether it was clean. What it prints says why not."""
    loads: list[Load] = []
    with services(directory, metadata) as flags:
        lives = Lives(directory, flags)
        try:
            lives.begin(0)
            admin = AdminClient({"bootstrap.servers": lives.bootstrap, "log_level": 0})
            for future in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in (*TOPICS, "probe")]).values():
                future.result(20)
            loads = [Load(lives.bootstrap, topic, idempotent) for topic, idempotent in TOPICS.items()]
            for load in loads:
                load.start()
            took = die_and_live(lives, deaths)
            for load in loads:
                load.stop()
            return verdict(lives, loads, took)
        finally:
            for load in loads:
                load.stop()
            lives.brokers.stop()


def die_and_live(lives: Lives, deaths: int) -> list[float]:
    """Seconds from the first new broker's start until every partition was writable again, for each death."""
    took, first_id = [], 0
    for death in range(1, deaths + 1):
        time.sleep(WRITING_S)
        lives.end()
        if death % 2 == 0:
            first_id += 10
        began = time.monotonic()
        lives.begin(first_id)
        ready_s = time.monotonic() - began
        tries = (probe(lives.bootstrap, set(range(PARTITIONS)), began) for _ in range(PROBES))
        took.append(next((seconds for seconds in tries if seconds < float("inf")), float("inf")))
        running = lives.brokers.running
        print(f"death {death}: brokers {running} ready after {ready_s:.2f} s, wrote after {took[-1]:.2f} s", flush=True)
    time.sleep(WRITING_S)
    return took


def verdict(lives: Lives, loads: list[Load], took: list[float]) -> bool:
    faults = [f"death {n + 1}: not writable again" for n, seconds in enumerate(took) if seconds == float("inf")]
    acked = 0
    for load in loads:
        seen, wrong = read_back(lives.bootstrap, load.topic)
        faults += wrong + check(load, seen)
        acked += len(load.acked)
        print(f"{load.topic}: {load.sent} sent, {len(load.acked)} acknowledged, {seen.total()} read")
    for fault in faults:
        print(f"FAULT {fault}")
    word = "CLEAN" if not faults else "NOT CLEAN"
    print(f"{word}: {len(took)} deaths of all brokers, {acked} acknowledged, back within {max(took):.2f} s", flush=True)
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--deaths", type=int, default=4)
    parser.add_argument("--metadata", choices=("postgres", "sqlite"), default="postgres")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-lose-"))
    clean = False
    try:
        clean = run(given.deaths, directory, given.metadata)
    except DidNotStart as error:
        print(f"NOT CLEAN: {error}")
    finally:
        if clean:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
