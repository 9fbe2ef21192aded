"""Real brokers that stop and that die: who signed off is not missed, who was killed is."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agent.collect.admin import ClusterAdmin
from agent.collect.collector import Collector, Watch
from agent.collect.scrape import read_target
from agent.collect.views import StoreSource
from agent.model.clock import SystemClock
from agent.store.samples import SampleStore
from rules.views import VIEWS
from tests.faults.brokers import SMALL

INTERVAL_S = 1.0


class Watched:
    """Three broker processes and what collects from them, round by round."""

    def __init__(self, folder: Path) -> None:
        self.processes = [_spawn(folder, number) for number in range(3)]
        self.ready = [json.loads(process.stdout.readline()) for process in self.processes if process.stdout]
        self.store = SampleStore(folder / "agent", clock=SystemClock())
        admin = ClusterAdmin(self.ready[0]["kafka"])
        targets = tuple(read_target(broker["http"]) for broker in self.ready)
        watch = Watch(cluster="c", targets=targets, interval_s=INTERVAL_S, timeout_s=20.0)
        self.collector = Collector(watch, self.store, admin, clock=SystemClock())
        self.source = StoreSource(self.store, "c", interval_s=INTERVAL_S)

    def brokers(self) -> list[Any]:
        """The `broker` view after one more round."""
        at = SystemClock().now()
        self.collector.round(at)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(VIEWS["broker"].ddl)
            self.source.fill(connection, "broker", at, 30.0)
            return connection.execute("SELECT broker, up FROM broker ORDER BY broker").fetchall()

    def rounds_until(self, wanted: list[Any], most: int) -> list[Any]:
        """The view of the first round that shows `wanted`, or of the last of `most`."""
        for _ in range(most):
            time.sleep(INTERVAL_S)
            if (seen := self.brokers()) == wanted:
                break
        return seen

    def close(self) -> None:
        self.collector.close()
        self.store.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)
            if process.stdout:
                process.stdout.close()


def _spawn(folder: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "broker.main", "--id", str(number), "--dir", str(folder), "--cluster", "c"]
    command += ["--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0", *SMALL]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.close()


def test_a_stopped_broker_leaves_within_two_intervals_and_a_killed_one_stays_missing(watched: Watched) -> None:
    everybody = [("0", True), ("1", True), ("2", True)]
    assert watched.rounds_until(everybody, 10) == everybody

    watched.processes[2].terminate()
    assert watched.processes[2].wait(60) == 0
    left = [("0", True), ("1", True)]
    assert watched.rounds_until(left, 2) == left

    watched.processes[1].kill()
    watched.processes[1].wait()
    missing = [("0", True), ("1", False)]
    assert watched.rounds_until(missing, 20) == missing
    for _ in range(3):
        time.sleep(INTERVAL_S)
        assert watched.brokers() == missing
