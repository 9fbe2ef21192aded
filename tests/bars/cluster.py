"""What the bars share: three brokers as processes, their pages, and what the system says of them."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults.brokers import READY_S, DidNotStart
from tests.ports import free_ports


class Cluster:
    """`count` brokers on one directory; narration goes to DIR/broker-ID.err. `module` may wrap the broker's main;
    `environment` is theirs, None for ours."""

    def __init__(
        self,
        directory: Path,
        count: int = 3,
        *,
        flags: tuple[str, ...] = (),
        module: str = "broker.main",
        metadata: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.ports = dict(enumerate(free_ports(count)))
        self.pids: dict[int, int] = {}
        self.http: dict[int, str] = {}
        self._flags = (*flags, *(("--metadata", metadata) if metadata else ()))
        self._module, self._environment = module, environment
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def start(self, *brokers: int) -> None:
        """Starts them, or all, and waits until each says that it serves."""
        for broker in brokers or tuple(self.ports):
            self.spawn(broker)
        for broker in brokers or tuple(self.ports):
            self.await_ready(broker)

    def spawn(self, broker: int) -> None:
        command = [
            *(sys.executable, "-m", self._module, "--id", str(broker), "--cluster", "bars"),
            *("--dir", str(self.directory), "--listeners", f"PLAINTEXT://127.0.0.1:{self.ports[broker]}"),
            *("--http", "127.0.0.1:0", "--zone", "abc"[broker % 3], *self._flags),
        ]
        with (self.directory / f"broker-{broker}.err").open("ab") as narration:
            self._running[broker] = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=narration, env=self._environment
            )

    def await_ready(self, broker: int) -> None:
        process = self._running[broker]
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise DidNotStart(f"broker {broker} did not start:\n{self.narration(broker)}")
        told = json.loads(line)
        self.pids[broker], self.http[broker] = told["pid"], told["http"]

    def kill(self, *brokers: int) -> None:
        """kill -9, all at once; they are gone when this returns."""
        gone = [self._running.pop(broker) for broker in brokers or tuple(self._running)]
        for process in gone:
            process.kill()
        for process in gone:
            process.communicate()

    def end(self, broker: int, patience_s: float = 40.0) -> float:
        """SIGTERM to one; the seconds until it is gone, infinite when it does not go in order."""
        begun, process = time.monotonic(), self._running.pop(broker)
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        return time.monotonic() - begun if process.returncode == 0 else float("inf")

    def stop(self) -> None:
        """SIGTERM to all; one that hangs is killed."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self._running.clear()

    def narration(self, broker: int, lines: int = 15) -> str:
        """The last words of one broker."""
        text = (self.directory / f"broker-{broker}.err").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def page(self, broker: int) -> str:
        """`GET /metrics` of one broker."""
        with urllib.request.urlopen(f"{self.http[broker]}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
            return text


def figure(page: str, name: str) -> float:
    """The sum of a metric's series."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if re.match(rf"{name}[{{ ]", line))


@dataclass(frozen=True, kw_only=True)
class Usage:
    """A process at one instant."""

    at: float
    cpu_s: float
    rss_bytes: int

    def share_since(self, before: Usage) -> float:
        """Of one core."""
        return (self.cpu_s - before.cpu_s) / (self.at - before.at)


def usage(pid: int) -> Usage:
    process = psutil.Process(pid)
    times = process.cpu_times()
    return Usage(at=time.monotonic(), cpu_s=times.user + times.system, rss_bytes=process.memory_info().rss)


def scrape_cpu_s(cluster: Cluster, broker: int, times: int = 20) -> float:
    """CPU that one page costs the broker, the sending included: the mean of `times` in a row."""
    before = usage(cluster.pids[broker])
    for _ in range(times):
        cluster.page(broker)
    return (usage(cluster.pids[broker]).cpu_s - before.cpu_s) / times
