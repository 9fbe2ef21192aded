"""The disk WAL as a log uses it: durable before it says so, final when it fails, held by one."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from broker.wal import ring
from broker.wal.base import Entry, WalFull
from broker.wal.disk import LOCK_FILE, DiskWal
from broker.wal.holder import HeldByAnother, is_free, kill_if_stopped

SMALL = 1024 * 1024


def entry(number: int, size: int = 100) -> Entry:
    return Entry(uid=7, epoch=1, base_offset=number, end_offset=number + 1, records=bytes(size))


@pytest.fixture
async def wal(tmp_path: Path) -> AsyncIterator[DiskWal]:
    wal = DiskWal.take(tmp_path, SMALL, os.urandom)
    wal.start(1)
    yield wal
    await wal.close()


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    for _ in range(int(seconds / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not so after {seconds} s")


async def test_says_durable_in_order_and_only_after_the_sync(wal: DiskWal, monkeypatch: pytest.MonkeyPatch) -> None:
    held, put = threading.Event(), ring.write_durably
    monkeypatch.setattr(ring, "write_durably", lambda *what: (held.wait(60), put(*what))[1])
    done: list[int] = []
    for number in range(3):
        wal.append(entry(number), lambda n=number: done.append(n))
    await asyncio.sleep(0.05)
    assert done == []
    held.set()
    await until(lambda: done == [0, 1, 2])


async def test_one_sync_serves_everything_that_queued_meanwhile(wal: DiskWal, monkeypatch: pytest.MonkeyPatch) -> None:
    held, put, puts = threading.Event(), ring.write_durably, []
    monkeypatch.setattr(ring, "write_durably", lambda *what: (puts.append(what), held.wait(60), put(*what))[2])
    done: list[int] = []
    wal.append(entry(0), lambda: done.append(0))
    await until(lambda: puts)
    for number in range(1, 50):
        wal.append(entry(number), lambda n=number: done.append(n))
    held.set()
    await until(lambda: len(done) == 50)
    assert len(puts) == 2


async def test_a_failed_sync_is_final(wal: DiskWal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*what: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ring, "write_durably", broken)
    done: list[int] = []
    wal.append(entry(0), lambda: done.append(0))
    error = await asyncio.wait_for(asyncio.shield(wal.failed), 10)
    monkeypatch.undo()
    assert "Input/output error" in str(error)
    with pytest.raises(WalFull):
        wal.append(entry(1), lambda: done.append(1))
    assert done == []


async def test_refuses_when_the_ring_is_full_and_takes_again_after_a_trim(wal: DiskWal) -> None:
    done: list[int] = []
    taken = 0
    with pytest.raises(WalFull):
        while True:
            wal.append(entry(taken, size=60_000), lambda: done.append(1))
            taken += 1
    await until(lambda: len(done) == taken)
    await wal.trim(wal.mark())
    wal.append(entry(taken), lambda: done.append(1))
    await until(lambda: len(done) == taken + 1)


async def test_a_second_process_is_refused_and_told_who_holds_it(wal: DiskWal, tmp_path: Path) -> None:
    with pytest.raises(HeldByAnother, match=f"pid {os.getpid()}"):
        DiskWal.take(tmp_path, SMALL, os.urandom)


HOLD = """
import sys
from pathlib import Path
from broker.wal.holder import LifetimeLock
LifetimeLock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_stopped_holder_is_killed_and_a_running_one_is_not(tmp_path: Path) -> None:
    lock = tmp_path / LOCK_FILE
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not is_free(lock)
        assert kill_if_stopped(lock) is None
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert kill_if_stopped(lock) == process.pid
        assert process.wait(60) == -signal.SIGKILL
    assert is_free(lock)


async def test_one_sync_serves_what_one_pass_of_the_loop_appends(wal: DiskWal) -> None:
    done: list[int] = []
    for number in range(20):
        wal.append(entry(number), lambda n=number: done.append(n))
    await until(lambda: len(done) == 20)
    assert wal.stats.groups == 1
