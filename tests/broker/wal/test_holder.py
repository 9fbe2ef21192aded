"""Who holds a lock, and whether that process is there, stopped or gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.wal.holder import is_free, is_running, kill_if_stopped

HOLD = """
import sys, time
from pathlib import Path
from broker.wal.holder import LifetimeLock
lock = LifetimeLock.take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield path, process
    process.kill()
    process.communicate(timeout=10)


def wait_for_state(pid: int, state: str) -> None:
    for _ in range(200):
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == state:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} never was in state {state}")


def test_a_process_that_holds_its_lock_is_seen_to_run(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, _ = holder
    assert is_running(path)
    assert not is_free(path)
    assert kill_if_stopped(path) is None


def test_a_stopped_holder_does_not_run_and_may_be_killed(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    os.kill(process.pid, signal.SIGSTOP)
    wait_for_state(process.pid, "T")
    assert not is_running(path)
    assert kill_if_stopped(path) == process.pid
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert is_free(path)


def test_a_dead_holder_does_not_run(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    process.kill()
    process.wait(timeout=10)
    assert not is_running(path)
    assert is_free(path)
