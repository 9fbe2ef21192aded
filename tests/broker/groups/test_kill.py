"""A coordinator that is killed loses nothing of its groups: members go on where they were, at the epoch they had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.ports import free_port

Start = Callable[[], subprocess.Popen[str]]
BEAT_MS = 200


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the broker, again on the same port."""
    port = free_port()
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "broker.main", "--id", "0", "--dir", str(tmp_path), "--no-bill"]
        command += ["--listeners", f"PLAINTEXT://127.0.0.1:{port}", "--http", "127.0.0.1:0", "--wal-size", "32MiB"]
        command += ["--config", f"group.consumer.heartbeat.interval.ms={BEAT_MS}"]
        with (tmp_path / "log").open("a") as narration:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=narration, text=True)
        started.append(process)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kafka"] == f"127.0.0.1:{port}"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def address(process: subprocess.Popen[str]) -> str:
    assert isinstance(process.args, list)
    return str(process.args[process.args.index("--listeners") + 1]).removeprefix("PLAINTEXT://")


def read(consumer: Consumer, count: int, seconds: float = 60) -> list[str]:
    """The next `count` values."""
    found: list[str] = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            found.append((message.value() or b"").decode())
    return found


def test_a_member_goes_on_after_its_coordinator_was_killed(start: Start) -> None:
    process = start()
    where = address(process)
    admin = AdminClient({"bootstrap.servers": where})
    admin.create_topics([NewTopic("t", 2, 1)])["t"].result()
    producer = Producer({"bootstrap.servers": where})
    producer.produce("t", "before", partition=0)
    producer.flush()
    shares: list[int] = []
    consumer = Consumer(
        {
            "bootstrap.servers": where,
            "group.id": "g",
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "reconnect.backoff.max.ms": 200,
        }
    )
    consumer.subscribe(["^t$"], on_assign=lambda _, parts: shares.append(len(parts)))
    assert read(consumer, 1) == ["before"]
    consumer.commit(asynchronous=False)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    start()
    producer.produce("t", "after", partition=1)
    producer.flush()
    assert read(consumer, 1) == ["after"]
    described = admin.describe_consumer_groups(["g"])["g"].result()
    assert [len(member.assignment.topic_partitions) for member in described.members] == [2]
    assert shares == [2]
    consumer.close()
