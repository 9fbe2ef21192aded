"""Broker processes that stop and go on, and ones that claim a name that is taken: they acknowledge nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.moves import Probe, check, read_back
from tests.faults.brokers import SMALL, Brokers

STOPPED_S = 5.0
"""Longer than the session of 3 s."""


@pytest.mark.heavy
def test_a_broker_stopped_beyond_its_session_acknowledges_nothing_when_it_goes_on(tmp_path: Path) -> None:
    brokers = Brokers(tmp_path, 2, flags=SMALL)
    try:
        brokers.start()
        admin = AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("probe", 1, replica_assignment=[[0]])])["probe"].result(20)
        probe = Probe(brokers.bootstrap)
        probe.start()
        _await(lambda: probe.acked_at)
        zombie = brokers._running[0]
        os.kill(zombie.pid, signal.SIGSTOP)
        stopped_at = time.monotonic()
        time.sleep(STOPPED_S)
        if zombie.poll() is None:
            os.kill(zombie.pid, signal.SIGCONT)
        _await(lambda: probe.acked_at[-1] > stopped_at + STOPPED_S)
        ended = zombie.wait(60)
        probe.stop()
        assert ended != 0, "a broker that was replaced must not go on"
        assert probe.acked_at[-1] > stopped_at + STOPPED_S, "the partition is writable elsewhere"
        assert check(probe, read_back(brokers.bootstrap, len(probe.acked)), idempotent=True) == []
    finally:
        brokers.stop()


def _await(came: Callable[[], object], patience_s: float = 30.0) -> None:
    """Gives a busy machine its time; what did not come is for the assertion to say."""
    end = time.monotonic() + patience_s
    while not came() and time.monotonic() < end:
        time.sleep(0.1)


@pytest.mark.heavy
def test_a_process_with_a_live_brokers_id_ends_in_one_line(tmp_path: Path) -> None:
    brokers = Brokers(tmp_path, 1, flags=SMALL)
    try:
        brokers.start()
        twin = [sys.executable, "-m", "broker.main", "--id", "0", "--dir", str(tmp_path), "--http", "127.0.0.1:0"]
        twin += ["--listeners", "PLAINTEXT://127.0.0.1:0", "--no-bill"]
        for wal in ((), ("--wal", f"file://{tmp_path}/another")):
            ended = subprocess.run([*twin, *wal], capture_output=True, text=True, timeout=120)
            assert ended.returncode == 1
            assert len(ended.stderr.strip().splitlines()) == 1 and "Traceback" not in ended.stderr
        assert brokers.running == [0] and brokers._running[0].poll() is None
    finally:
        brokers.stop()
