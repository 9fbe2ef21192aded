"""Who holds a lock, and whether that process is there, stopped or gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from broker.clock import SystemClock
from broker.wal.base import Duties
from broker.wal.holder import boot_id, is_free, is_running, kill_if_stopped
from broker.wal.kinds import Site, Tools, Wals

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
    process.communicate(timeout=30)


def wait_for_state(pid: int, state: str) -> None:
    for _ in range(2000):
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
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert is_free(path)


def test_a_dead_holder_does_not_run(holder: tuple[Path, subprocess.Popen[str]]) -> None:
    path, process = holder
    process.kill()
    process.wait(timeout=30)
    assert not is_running(path)
    assert is_free(path)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[str]]:
    """A stopped process that holds no lock."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)
    os.kill(process.pid, signal.SIGSTOP)
    wait_for_state(process.pid, "T")
    yield process
    process.kill()
    process.communicate(timeout=30)


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@pytest.mark.parametrize(
    ("ticks_off", "same_boot"), [(1, True), (0, False)], ids=["another start time", "another boot"]
)
def test_a_pid_that_now_belongs_to_another_process_is_left_alone(
    bystander: subprocess.Popen[str], tmp_path: Path, ticks_off: int, same_boot: bool
) -> None:
    path = tmp_path / "lock"
    boot = boot_id() if same_boot else "another"
    named = {"pid": bystander.pid, "started": started(bystander.pid) + ticks_off, "boot_id": boot}
    path.write_text(json.dumps(named))
    assert kill_if_stopped(path) is None
    assert not is_running(path)
    time.sleep(0.05)
    assert bystander.poll() is None


def test_a_stopped_process_is_killed_only_when_pid_start_and_boot_all_match(
    bystander: subprocess.Popen[str], tmp_path: Path
) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({"pid": bystander.pid, "started": started(bystander.pid), "boot_id": boot_id()}))
    assert kill_if_stopped(path) == bystander.pid
    assert bystander.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "started": 1, "boot_id": "y"}'])
def test_a_lock_file_that_names_nobody_gets_nobody_killed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock"
    path.write_text(text)
    assert kill_if_stopped(path) is None
    assert not is_running(path)


WRITE = """
import asyncio, os, sys
from pathlib import Path
from broker.wal.base import Entry
from broker.wal.disk import DiskWal

async def main():
    wal = DiskWal.take(Path(sys.argv[1]), 1 << 20, os.urandom)
    wal.start(1)
    done = asyncio.Event()
    wal.append(Entry(uid=1, epoch=0, base_offset=0, end_offset=1, records=b"kept"), done.set)
    await done.wait()
    print("acknowledged", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def stopped_broker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """It wrote one entry to the WAL in `tmp_path`, had it acknowledged, and was stopped."""
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "acknowledged\n"
    os.kill(process.pid, signal.SIGSTOP)
    wait_for_state(process.pid, "T")
    yield process
    process.kill()
    process.communicate(timeout=30)


async def test_a_recoverer_gets_the_wal_of_a_broker_that_was_stopped_beyond_its_session(
    stopped_broker: subprocess.Popen[str], tmp_path: Path
) -> None:
    said: list[str] = []
    tools = Tools(
        clock=SystemClock(),
        entropy=os.urandom,
        duties=cast(Duties, None),
        host_id="here",
        say=said.append,
        cluster_id="",
        store=cast(Any, None),
        pace_s=1.0,
    )
    url = f"file://{tmp_path}"
    seized = await Wals(tools).of(url).seize(Site(url=url, broker=3, host_id="here"), [1])
    assert [bytes(entry.records) for entry in seized.entries] == [b"kept"]
    assert stopped_broker.wait(timeout=30) == -signal.SIGKILL
    assert said == [f"broker 3 (pid {stopped_broker.pid}) was stopped beyond its session: killed, lest it write again"]
    await seized.release()
