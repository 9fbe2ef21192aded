"""A cluster of real broker processes for the fault suites: started, killed by pid, started again on the same ports."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.ports import free_ports

READY_S = 90.0
"""Long, because a busy machine may take its time; what is measured is measured elsewhere."""


SMALL = ("--no-bill", "--wal-size", "32MiB")
"""For tests that write little and are not about the bill: a WAL is zeroed from end to end, and a bill is summed up."""


class DidNotStart(Exception):
    """A broker ended, or said nothing, instead of serving; its last words are in the message."""


class Brokers:
    """`count` brokers on one directory; narration goes to DIR/broker-ID.err. `environment` is theirs, None for ours."""

    def __init__(
        self,
        directory: Path,
        count: int = 3,
        *,
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.ports = dict(enumerate(free_ports(count)))
        self._flags, self._environment = flags, environment
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    @property
    def running(self) -> list[int]:
        return sorted(self._running)

    def pid(self, broker: int) -> int:
        return self._running[broker].pid

    def start(self, *brokers: int, source: Path | None = None) -> None:
        """Starts them (all, when none is named) and waits until each says that it serves.

        `source` is a folder with the code to run; None stands for what is installed.
        """
        for broker in brokers or tuple(self.ports):
            self._running[broker] = self._spawn(broker, source)
        for broker in brokers or tuple(self.ports):
            self._await_ready(broker)

    def _spawn(self, broker: int, source: Path | None) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "broker.main", "--id", str(broker), "--cluster", "faults"),
            *("--dir", str(self.directory), "--listeners", f"PLAINTEXT://127.0.0.1:{self.ports[broker]}"),
            *("--http", "127.0.0.1:0", "--zone", "abc"[broker % 3], *self._flags),
        ]
        with (self.directory / f"broker-{broker}.err").open("ab") as narration:
            return subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=narration,
                cwd=source,
                env={**os.environ, "PYTHONPATH": str(source)} if source is not None else self._environment,
            )

    def _await_ready(self, broker: int) -> None:
        process = self._running[broker]
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], READY_S)
        line = process.stdout.readline() if ready else b""
        if not line:
            raise DidNotStart(f"broker {broker} did not start:\n{self.narration(broker)}")
        json.loads(line)

    def kill(self, broker: int) -> None:
        """kill -9, and the process is gone when this returns."""
        process = self._running.pop(broker)
        process.kill()
        process.wait()
        self._close(process)

    def stop(self, *brokers: int) -> list[int]:
        """SIGTERM to them (all, when none is named); their exit codes in order of id. One that hangs is killed."""
        leaving = {broker: self._running.pop(broker) for broker in sorted(brokers or self._running)}
        for process in leaving.values():
            process.send_signal(signal.SIGTERM)
        codes = []
        deadline = time.monotonic() + 20
        for process in leaving.values():
            try:
                codes.append(process.wait(max(deadline - time.monotonic(), 0.1)))
            except subprocess.TimeoutExpired:
                process.kill()
                codes.append(process.wait())
            self._close(process)
        return codes

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            process.stdout.close()

    def narration(self, broker: int, lines: int = 15) -> str:
        """The last words of one broker."""
        path = self.directory / f"broker-{broker}.err"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
