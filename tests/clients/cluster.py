"""Three brokers in three zones, as processes of their own, sharing a directory."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0


@contextmanager
def brokers(directory: Path, count: int = 3, partitions: int = 6) -> Iterator[str]:
    """Gives the bootstrap servers of a running cluster; stops every broker at the end."""
    running = [_start(directory, broker_id, partitions) for broker_id in range(count)]
    try:
        yield ",".join(_address(process, directory, broker_id) for broker_id, process in enumerate(running))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _start(directory: Path, broker_id: int, partitions: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "broker.main", "--id", str(broker_id), "--dir", str(directory)]
    command += ["--zone", f"zone-{broker_id}", "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0"]
    command += ["--config", f"num.partitions={partitions}"]
    with (directory / f"broker-{broker_id}.log").open("w") as narration:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=narration, text=True)


def _address(process: subprocess.Popen[str], directory: Path, broker_id: int) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + _READY_SECONDS
    readable, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
    line = process.stdout.readline() if readable else ""
    if not line:
        told = (directory / f"broker-{broker_id}.log").read_text()[-2000:]
        raise RuntimeError(f"broker {broker_id} did not get ready in {_READY_SECONDS:.0f} s: {told}")
    return str(json.loads(line)["kafka"])
