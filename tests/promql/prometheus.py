"""A real Prometheus on loopback, for comparison: Debian's package, fed by remote write."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.ports import free_port
from tests.promql.demo_service import Series
from tests.promql.remote_write import bodies

START_S = 60.0
REMOTE_WRITE = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Prometheus:
    """A running one."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._process = psutil.Process(pid)
        self._client = httpx.Client(base_url=url, timeout=600)

    def load(self, series: Sequence[Series]) -> None:
        """All samples, stale markers included."""
        for body in bodies(series):
            self.take(body)

    def take(self, body: bytes) -> None:
        """One body of remote write."""
        self._client.post("/api/v1/write", content=body, headers=REMOTE_WRITE).raise_for_status()

    def cpu_s(self) -> float:
        """What it has used so far."""
        used = self._process.cpu_times()
        return float(used.user + used.system)

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """One call of the query API, whatever it answers."""
        answer: dict[str, Any] = self._client.post(f"/api/v1/{path}", data=parameters).json()
        return answer


def available() -> str | None:
    """The binary, where it is installed."""
    return shutil.which("prometheus")


@contextlib.contextmanager
def running(directory: Path, *more: str) -> Iterator[Prometheus]:
    """Starts one that scrapes nothing, in `directory`, on a port of its own."""
    binary = available()
    if binary is None:
        raise SystemExit("prometheus is not installed: apt-get install prometheus")
    (directory / "prometheus.yml").write_text("global: {scrape_interval: 5s, evaluation_interval: 1m}\n")
    port = free_port()
    with (directory / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
                "--log.level=warn",
                *more,
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _until_ready(f"http://127.0.0.1:{port}", process, directory)
            yield Prometheus(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _until_ready(url: str, process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready", timeout=2).status_code == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"prometheus did not start: {(directory / 'prometheus.log').read_text()[-500:]}")
