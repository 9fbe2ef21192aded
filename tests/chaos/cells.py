"""What a cluster can stand on, and the cluster itself: three real brokers that can be killed, stopped, drained and
started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.board import Board
from tests.chaos.launch import Manner
from tests.chaos.proxy import Seen, Weather
from tests.chaos.services import BUCKET, S3, FaultyStore, Postgres, s3_environment
from tests.chaos.smalldisk import SmallDisk
from tests.faults.brokers import Brokers

BROKERS = 3
SHORT = {"housekeeping_s": 2.0, "prepared_ttl_s": 25.0, "marked_ttl_s": 10.0}
"""Seconds: garbage must be gone within a test."""
COLLECTED_S = 40.0
"""By then everything that was garbage when all went quiet is gone: the longest life above, and some rounds."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of stores."""

    name: str
    postgres: bool
    s3: bool
    object_wal: bool


CELLS = {
    cell.name: cell
    for cell in (
        Cell(name="sqlite-file-disk", postgres=False, s3=False, object_wal=False),
        Cell(name="sqlite-file-object", postgres=False, s3=False, object_wal=True),
        Cell(name="pg-s3-disk", postgres=True, s3=True, object_wal=False),
        Cell(name="pg-s3-object", postgres=True, s3=True, object_wal=True),
    )
}


class Ground:
    """The stores below a cluster. They outlive it, and two clusters may stand on one."""

    def __init__(self, cell: Cell, directory: Path, seed: int) -> None:
        self.cell, self.directory = cell, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.postgres = Postgres(directory / "postgres") if cell.postgres else None
        self.s3 = S3() if cell.s3 else None
        self.proxy = FaultyStore(self.s3.port, seed) if self.s3 is not None else None
        self.disk = SmallDisk(directory / "objects") if not cell.s3 else None

    @property
    def metadata_url(self) -> str:
        return self.postgres.url if self.postgres is not None else f"sqlite://{self.directory / 'metadata.db'}"

    def objects_url(self, prefix: str = "cluster") -> str:
        return f"s3://{BUCKET}/{prefix}" if self.s3 is not None else f"file://{self.directory / 'objects' / prefix}"

    def environment(self, *, faulty: bool) -> dict[str, str]:
        """For a process that uses the store, by the faulty way or by the straight one."""
        if self.s3 is None or self.proxy is None:
            return dict(os.environ)
        return s3_environment(self.proxy.port if faulty else self.s3.port)

    def stop(self) -> None:
        for service in (self.proxy, self.s3, self.postgres, self.disk):
            if service is not None:
                service.stop()


class Cluster(Brokers):
    """Three brokers on a ground, started through `launch` and so under the harness's hand."""

    def __init__(
        self, ground: Ground, manner: Manner, *, plant: str = "", flags: tuple[str, ...] = (), name: str = "chaos"
    ) -> None:
        super().__init__(ground.directory, BROKERS, flags=flags)
        self.ground, self._manner, self._plant, self._name = ground, manner, plant, name
        self.boards = {broker: Board(ground.directory / f"board-{broker}") for broker in self.ports}
        self.stopped: set[int] = set()

    def _spawn(self, broker: int, source: Path | None = None) -> subprocess.Popen[bytes]:
        directory, cell = self.directory, self.ground.cell
        manner = replace(self._manner, board=str(directory / f"board-{broker}"))
        wal = "objects://" if cell.object_wal else f"file://{directory / 'wal' / str(broker)}"
        command = [
            *(sys.executable, "-m", "tests.chaos.launch", "--id", str(broker), "--cluster", self._name),
            *("--dir", str(directory), "--listeners", f"PLAINTEXT://127.0.0.1:{self.ports[broker]}"),
            *("--http", "127.0.0.1:0", "--zone", "abc"[broker % 3], "--no-bill", "--exit-with-parent"),
            *("--metadata", self.ground.metadata_url, "--objects", self.ground.objects_url(), "--wal", wal),
            *self._flags,
        ]
        environment = {**self.ground.environment(faulty=True), **manner.environment(self._plant)}
        with (directory / f"broker-{broker}.err").open("ab") as narration:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=narration, env=environment)

    def pid(self, broker: int) -> int:
        return self._running[broker].pid

    def signal(self, broker: int, number: signal.Signals) -> None:
        """SIGSTOP or SIGCONT."""
        self._running[broker].send_signal(number)
        (self.stopped.add if number == signal.SIGSTOP else self.stopped.discard)(broker)

    def kill(self, broker: int) -> None:
        super().kill(broker)
        self.stopped.discard(broker)

    def reap(self) -> dict[int, int]:
        """Brokers that ended without being asked to, with their exit codes; they count as down from now on."""
        over = {broker: code for broker, one in self._running.items() if (code := one.poll()) is not None}
        for broker in over:
            self._close(self._running.pop(broker))
            self.stopped.discard(broker)
        return over

    def size(self, broker: int) -> int:
        """How long one broker's narration is."""
        path = self.directory / f"broker-{broker}.err"
        return path.stat().st_size if path.exists() else 0

    def said(self, broker: int, since: int = 0) -> str:
        """One broker's narration, from a place that `size` told."""
        if self.size(broker) <= since:
            return ""
        with (self.directory / f"broker-{broker}.err").open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    # -- the store's faults, whichever store it is -------------------------------------------------------------------

    def weather(self, weather: Weather) -> None:
        if self.ground.proxy is not None:
            self.ground.proxy.set(weather)

    def ask(self, kind: str, count: int) -> None:
        """That many faults of that kind from the local directory, spread over the brokers."""
        for turn in range(count):
            self.boards[turn % BROKERS].add(f"{kind}_asked")

    def seen(self) -> Seen:
        """What the store's faults came to."""
        if self.ground.proxy is not None:
            return self.ground.proxy.seen()
        seen = Seen()
        for board in self.boards.values():
            for kind in ("ambiguous", "refused"):
                seen.injected[kind] += board.get(f"{kind}_injected")
                seen.observed[kind] += board.get(f"{kind}_observed")
        return seen

    def await_end(self, broker: int, within_s: float) -> int | None:
        """The exit code of a broker that is about to end; None when it does not."""
        process = self._running[broker]
        deadline = time.monotonic() + within_s
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        return process.returncode
