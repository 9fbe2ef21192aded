"""`make upgrade`: a cluster of the previous release becomes this one, broker by broker, under load, and one step back.

The previous release is taken from this repository's history. While both run on one store: a broker of each is killed
and recovered by whoever is there, and at the end one goes back to the older code. Nothing acknowledged may be lost, an
idempotent producer's records are there once, and offsets are contiguous. The last line is the verdict; exit 0 only when
it is clean.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.brokers import Brokers, DidNotStart
from tests.faults.kill import PARTITIONS, TOPICS, Load, check, probe, read_back

PREVIOUS = "b1ceebf09beb479cff991e61986cda655a740b41"
"""The commit of the release before this one: 0.1.0."""
ROOT = Path(__file__).resolve().parents[2]
WRITABLE_S = 30.0


class NoHistory(Exception):
    """The previous release is not in this clone."""


def previous_release(into: Path) -> Path:
    """The older code in a folder of its own. NoHistory in a shallow clone."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "archive", PREVIOUS, "broker"], capture_output=True, check=False, timeout=60
    )
    if found.returncode:
        raise NoHistory(f"commit {PREVIOUS[:9]} is not here: {found.stderr.decode().strip()}; fetch the whole history")
    with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
        archive.extractall(into, filter="data")
    return into


def steps(brokers: Brokers, old: Path) -> list[tuple[str, Callable[[], object]]]:
    """The whole story, in order: what is said, and what is done."""

    def swap(broker: int, source: Path | None) -> Callable[[], object]:
        def work() -> None:
            brokers.stop(broker)
            brokers.start(broker, source=source)

        return work

    def crash(broker: int, source: Path | None) -> Callable[[], object]:
        def work() -> None:
            brokers.kill(broker)
            seconds = probe(brokers.bootstrap, set(range(PARTITIONS)), time.monotonic())
            if seconds > WRITABLE_S:
                raise DidNotStart(f"not writable within {WRITABLE_S:g} s of the end of broker {broker}")
            brokers.start(broker, source=source)

        return work

    return [
        ("broker 0 upgraded", swap(0, None)),
        ("broker 1 (old) killed, recovered in the mixed cluster, back as old", crash(1, old)),
        ("broker 0 (new) killed, recovered in the mixed cluster, back as new", crash(0, None)),
        ("broker 1 upgraded", swap(1, None)),
        ("broker 2 upgraded: all are new", swap(2, None)),
        ("broker 2 back to the old release", swap(2, old)),
        ("broker 2 (old again) killed, back as new", crash(2, None)),
    ]


def run(directory: Path, pause_s: float, count: int | None = None) -> bool:
    """The first `count` steps of the story (all, when not given); whether it was clean. What it prints says why not."""
    old = previous_release(directory / "previous")
    data = directory / "data"
    data.mkdir()
    brokers = Brokers(data, flags=("--upload-interval", "1"))
    loads: list[Load] = []
    try:
        brokers.start(source=old)
        admin = AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
        for future in admin.create_topics([NewTopic(t, PARTITIONS, 1) for t in (*TOPICS, "probe")]).values():
            future.result(20)
        loads = [Load(brokers.bootstrap, topic, idempotent) for topic, idempotent in TOPICS.items()]
        for load in loads:
            load.start()
        for said, work in steps(brokers, old)[:count]:
            time.sleep(pause_s)
            work()
            print(said, flush=True)
        time.sleep(pause_s)
        for load in loads:
            load.stop()
        return verdict(brokers, loads)
    finally:
        for load in loads:
            load.stop()
        brokers.stop()


def verdict(brokers: Brokers, loads: list[Load]) -> bool:
    """Reads everything back and says what came of it."""
    faults: list[str] = []
    for load in loads:
        seen, wrong = read_back(brokers.bootstrap, load.topic)
        faults += wrong + check(load, seen)
        if load.failed:
            faults.append(f"{load.topic}: {load.failed} sends failed though retries were left")
    for fault in faults:
        print(f"FAULT {fault}")
    acked = sum(len(load.acked) for load in loads)
    print(f"{'NOT CLEAN' if faults else 'CLEAN'}: {acked} acknowledged through the upgrade", flush=True)
    return not faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pause", type=float, default=3.0, metavar="SECONDS", help="load between the steps")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-upgrade-"))
    clean = False
    try:
        clean = run(directory, given.pause)
    except (DidNotStart, NoHistory) as error:
        print(f"NOT CLEAN: {error}")
    finally:
        if clean and not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
