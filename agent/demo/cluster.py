"""The cluster and its agent, started the way a user starts them: `streampilot up` with public flags only."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from agent.demo.errors import ClusterFailed
from agent.demo.scenario import Node

READY_S = 90.0
STOP_S = 45.0
BROKERS = 3
NAME = "demo"
LOG = "up.log"
"""What `up`, its brokers and its agent say."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The ready line of `up`."""

    bootstrap: str
    agent: str
    """Its address."""
    nodes: tuple[Node, ...]
    metrics: dict[int, str]
    """Broker id to its /metrics."""
    pids: dict[int, int]
    """Broker id to its process."""


class Cluster:
    """`streampilot up` as a child in a session of its own; ends with the `with` block, whatever happened in it."""

    def __init__(self, directory: Path, *, time_scale: float) -> None:
        self._log = directory / LOG
        self._command = [sys.executable, "-m", "agent.cli", "up", "--brokers", str(BROKERS)]
        self._command += ["--dir", str(directory / "cluster"), "--cluster", NAME, "--time-scale", f"{time_scale:g}"]
        self._command += ["--port", "0", "--http-port", "0", "--agent-port", "0"]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Cluster:
        with open(self._log, "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*self._command, "--exit-with-parent"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def ready(self) -> Ready:
        """Waits for the ready line; ClusterFailed with the last lines of its log when there is none."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        stdout = process.stdout
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=READY_S)
        except queue.Empty:
            raise ClusterFailed(f"the cluster was not ready within {READY_S:.0f} s", self._last_words()) from None
        if not line:
            raise ClusterFailed(f"the cluster ended with status {process.wait(5)}", self._last_words())
        return _ready(json.loads(line))

    def check(self, ready: Ready) -> None:
        """ClusterFailed if it, or one of its brokers, has ended on its own."""
        if self._process is not None and self._process.poll() is not None:
            raise ClusterFailed(f"the cluster ended with status {self._process.returncode}", self._last_words())
        for broker, pid in ready.pids.items():
            if not psutil.pid_exists(pid):
                raise ClusterFailed(f"broker {broker} (pid {pid}) ended on its own", self._last_words())

    def stop(self) -> int | None:
        """SIGTERM, a bounded wait, then SIGKILL for its session; its exit status."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return "its last lines: " + (" / ".join(lines[-4:]) or "none")


def _ready(line: dict[str, Any]) -> Ready:
    brokers = line["brokers"]
    return Ready(
        bootstrap=line["bootstrap"],
        agent=line["agent"],
        nodes=tuple(Node(id=int(broker["id"]), zone=str(broker["zone"])) for broker in brokers),
        metrics={int(broker["id"]): f"{broker['http']}/metrics" for broker in brokers},
        pids={int(broker["id"]): int(broker["pid"]) for broker in brokers},
    )
