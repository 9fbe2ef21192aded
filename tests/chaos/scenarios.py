"""Three things that happen to clusters as a whole, and what must come of them:

two clusters   a second cluster is pointed at the first one's prefix: it is refused, and the first one goes on
older copy     the metadata store is put back to an older copy: the bucket holds objects that it does not know. Nothing
               is swept, and that is said. What was acknowledged after the copy was taken is out of reach, and only that
stepped clock  the wall clock jumps by days under retention of an hour: retention pauses, that is said, nothing is lost
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.audit import keys
from tests.chaos.cells import CELLS, SHORT, Cell, Cluster, Ground
from tests.chaos.checker import check
from tests.chaos.history import Anomalies
from tests.chaos.launch import Manner
from tests.chaos.places import PARTITIONS, TOPICS
from tests.chaos.workload import Workload, wait_until
from tests.faults.brokers import DidNotStart

FLAGS = ("--upload-interval", "1", "--wal-size", "64MiB")
DAY_MS = 24 * 3600 * 1000
SAID_S = 15.0
LIVED_S = 6.0
MANNER = Manner(board="", logs={**SHORT, "marked_ttl_s": 1.0, "prepared_ttl_s": 1.0, "housekeeping_s": 1.0})
"""Lives so short that whatever may be deleted is deleted while somebody watches."""


def two_clusters(cell: Cell, directory: Path, tell: Anomalies) -> None:
    """The second one's brokers share nothing with the first but the prefix."""
    ground = Ground(cell, directory / "first", seed=1)
    first = Cluster(ground, MANNER, flags=FLAGS)
    try:
        first.start()
        before = _objects(ground)
        other = _Guest(ground, directory / "second")
        try:
            other.start(0)
            tell.add("two clusters", "a second cluster started on the first one's prefix")
        except DidNotStart as refused:
            if "belongs to" not in str(refused):
                tell.add("two clusters", f"the second cluster was refused without saying why: {refused}")
        finally:
            other.stop()
        if lost := before - _objects(ground):
            tell.add("two clusters", f"{len(lost)} objects of the first cluster are gone")
        if first.reap():
            tell.add("two clusters", "a broker of the first cluster ended")
    finally:
        first.stop()
        ground.stop()


class _Guest(Cluster):
    """A cluster with metadata and WAL of its own that is given somebody else's prefix."""

    def __init__(self, host: Ground, directory: Path) -> None:
        directory.mkdir(parents=True)
        super().__init__(_Borrowed(host, directory), MANNER, flags=FLAGS, name="guest")


class _Borrowed(Ground):
    """The host's object store, under metadata of one's own."""

    def __init__(self, host: Ground, directory: Path) -> None:
        self.cell, self.directory = replace(host.cell, postgres=False), directory
        self.postgres, self.s3, self.proxy, self.disk = None, host.s3, host.proxy, None
        self._host = host

    def objects_url(self, prefix: str = "cluster") -> str:
        return self._host.objects_url(prefix)


def older_copy(cell: Cell, directory: Path, tell: Anomalies) -> None:
    """On SQLite, where a copy is a file: what an operator does who restores last night's backup by hand."""
    ground = Ground(replace(cell, postgres=False), directory, seed=1)
    cluster = Cluster(ground, MANNER, flags=FLAGS)
    try:
        cluster.start()
        _make_topics(cluster.bootstrap, {})
        _produce(cluster.bootstrap, 2_000)
        cluster.stop()
        copy = directory / "copy.db"
        with closing(sqlite3.connect(directory / "metadata.db")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        cluster.start()
        _produce(cluster.bootstrap, 2_000)
        cluster.stop()
        before = _objects(ground)
        for leftover in directory.glob("metadata.db*"):
            leftover.unlink()
        shutil.copy(copy, directory / "metadata.db")
        marks = {broker: cluster.size(broker) for broker in cluster.ports}
        _start_or_be_told(cluster)
        said = _said(cluster, marks, "older copy")
        if not said:
            tell.add("older copy", "nobody says that the metadata is an older copy than the bucket")
        time.sleep(LIVED_S)
        if gone := before - _objects(ground):
            tell.add("older copy", f"{len(gone)} objects were deleted, such as {min(gone)}")
    finally:
        cluster.stop()
        ground.stop()


def _start_or_be_told(cluster: Cluster) -> None:
    """Refusing to start with a reason is as good as starting and leaving everything alone."""
    try:
        cluster.start()
    except DidNotStart:
        cluster.stop()


def stepped_clock(cell: Cell, directory: Path, tell: Anomalies) -> None:
    """Two days forward and back again, with retention of an hour: by a wrong clock, everything would have expired."""
    ground = Ground(cell, directory, seed=1)
    cluster = Cluster(ground, MANNER, flags=FLAGS)
    try:
        cluster.start()
        _make_topics(cluster.bootstrap, {"retention.ms": "3600000"})
        workload = Workload(cluster.bootstrap, 500.0)
        workload.start()
        try:
            time.sleep(3)
            for step_ms in (2 * DAY_MS, 0, -2 * DAY_MS, 0):
                marks = {broker: cluster.size(broker) for broker in cluster.ports}
                for board in cluster.boards.values():
                    board.set("clock_offset_ms", step_ms)
                if not _said(cluster, marks, "wall clock stepped"):
                    tell.add("stepped clock", f"nobody says that the clock stepped to {step_ms} ms")
                time.sleep(LIVED_S / 2)
            workload.settle()
            workload.read_back(from_start=True)
            check(workload.history)
        finally:
            workload.end()
        for anomaly in workload.history.anomalies:
            tell.add("stepped clock", str(anomaly))
    finally:
        cluster.stop()
        ground.stop()


SCENARIOS: dict[str, Callable[[Cell, Path, Anomalies], None]] = {
    "two clusters": two_clusters,
    "older copy": older_copy,
    "stepped clock": stepped_clock,
}


def run_scenarios(cell_name: str, directory: Path, tell: Anomalies) -> None:
    """All of them on the stores of one cell; a line each."""
    for name, scenario in SCENARIOS.items():
        had, place = len(tell), directory / name.replace(" ", "-")
        place.mkdir(parents=True)
        try:
            scenario(CELLS[cell_name], place, tell)
        except DidNotStart as error:
            tell.add(name, str(error))
        print(f"{cell_name} {name}: {'clean' if len(tell) == had else 'NOT CLEAN'}", flush=True)


def _make_topics(bootstrap: str, configs: dict[str, str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    topics = [NewTopic(topic, PARTITIONS, 1, config=configs) for topic in TOPICS]
    for future in admin.create_topics(topics).values():
        future.result(20)


def _produce(bootstrap: str, count: int) -> None:
    """Acknowledged, and in objects a moment later."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    for number in range(count):
        producer.produce("once", b"%d" % number)
    producer.flush(30)
    time.sleep(2.5)


def _objects(ground: Ground) -> set[str]:
    """Keys of the cluster's objects, asked for by the straight way."""
    return keys(ground.objects_url(), ground.environment(faulty=False))


def _said(cluster: Cluster, marks: dict[int, int], words: str) -> bool:
    """Whether any broker says it within a moment."""
    return wait_until(lambda: any(words in cluster.said(broker, mark) for broker, mark in marks.items()), SAID_S)
