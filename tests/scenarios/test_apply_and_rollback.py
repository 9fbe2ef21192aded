"""A hot broker on a live cluster, through the command line alone: found, planned, applied, verified, and taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.ports import free_port

CLI = [sys.executable, "-m", "agent.cli"]
PARTITIONS = 6


@contextmanager
def cluster(directory: Path) -> Iterator[dict[str, Any]]:
    port = str(free_port(in_a_row=3))
    command = [*CLI, "up", "--brokers", "3", "--dir", str(directory), "--port", port, "--agent-port", "0",
               "--time-scale", "10", "--scrape-interval", "1s"]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate(timeout=60)[1]
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@contextmanager
def writing(bootstrap: str, topic: str) -> Iterator[None]:
    """About 3 MiB/s, the same to every partition."""
    over = threading.Event()

    def write() -> None:
        producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "compression.type": "lz4"})
        value = os.urandom(24 << 10)
        while not over.wait(0.05):
            for partition in range(PARTITIONS):
                producer.produce(topic, value, partition=partition)
            producer.poll(0)
        producer.flush(30)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=60)


def assignment(admin: AdminClient, topic: str) -> dict[int, tuple[int, list[int]]]:
    partitions = admin.list_topics(topic, timeout=60).topics[topic].partitions
    return {index: (found.leader, found.replicas) for index, found in partitions.items()}


def cli(agent: str, *arguments: str, exits: tuple[int, ...] = (0,)) -> Any:
    done = subprocess.run(
        [*CLI, *arguments, "--agent", agent, "--json"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in exits, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


def until_found(agent: str, rule: str, within_s: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + within_s
    found: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        found = cli(agent, "findings", exits=(0, 1))
        for risk in found:
            if risk["rule"] == rule and risk["state"] == "open":
                return risk
        time.sleep(1)
    raise AssertionError(f"no {rule} within {within_s} s: {found}")


@pytest.mark.heavy
def test_a_hot_broker_is_relieved_and_given_back_exactly_by_the_command_line(tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as ready:
        admin = AdminClient({"bootstrap.servers": ready["bootstrap"]})
        hot, *others = (broker["id"] for broker in ready["brokers"])
        owners = [hot] * (PARTITIONS - 2) + others
        topic = NewTopic("orders", num_partitions=len(owners), replica_assignment=[[owner] for owner in owners])
        admin.create_topics([topic])["orders"].result(20)
        with writing(ready["bootstrap"], "orders"):
            risk = until_found(ready["agent"], "BAL-01")
            assert risk["resource"].endswith(f"/broker/{hot}")
            before = assignment(admin, "orders")
            (plan,) = cli(ready["agent"], "plan", risk["id"])["plans"]
            applied = cli(ready["agent"], "apply", plan["id"], "--yes")
            assert applied["state"] == "verified"
            assert applied["measured"]["busiest_over_mean"] < 1.25
            assert sorted(leader for leader, _ in assignment(admin, "orders").values()) == sorted([0, 1, 2] * 2)
            assert cli(ready["agent"], "rollback", plan["id"], "--yes")["state"] == "rolled_back"
            assert assignment(admin, "orders") == before
        trail = subprocess.run(
            [*CLI, "audit", "verify", "--agent", ready["agent"]],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert trail.returncode == 0, trail.stderr
