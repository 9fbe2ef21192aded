"""A cluster whose metadata store is lost comes back from its bucket, by the command that a person would type."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.faults.brokers import SMALL, Brokers
from tests.watermarks import watermarks

FLAGS = (*SMALL, "--snapshot-interval", "0.5")


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    brokers = Brokers(tmp_path, count=2, flags=FLAGS)
    yield brokers
    brokers.stop()


def create_topic(brokers: Brokers) -> None:
    admin = AdminClient({"bootstrap.servers": brokers.bootstrap})
    admin.create_topics([NewTopic("t", 4, 1)])["t"].result(20)


def produce(brokers: Brokers, values: range) -> None:
    producer = Producer({"bootstrap.servers": brokers.bootstrap, "acks": "all", "linger.ms": 5})
    for value in values:
        producer.produce("t", str(value).encode(), partition=value % 4)
    assert producer.flush(30) == 0


def values(brokers: Brokers) -> list[int]:
    consumer = Consumer({"bootstrap.servers": brokers.bootstrap, "group.id": "g", "enable.auto.commit": False})
    consumer.assign([TopicPartition("t", partition, 0) for partition in range(4)])
    found, deadline = [], time.monotonic() + 30
    ends = sum(watermarks(consumer, "t", p)[1] for p in range(4))
    while len(found) < ends and time.monotonic() < deadline:
        found += [int(message.value()) for message in consumer.consume(1000, 0.5) if not message.error()]
    consumer.close()
    return sorted(found)


def lose_the_metadata(directory: Path) -> None:
    for path in directory.glob("metadata.db*"):
        path.unlink()


def restore(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ["--objects", f"file://{directory}/objects", "--metadata", f"sqlite://{directory}/metadata.db"]
    command = [sys.executable, "-m", "agent.cli", "restore", *where, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def snapshots(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "objects" / "metadata").glob("*.snapshot")}


def a_copy_of_now(directory: Path) -> None:
    """Waits until the newest copy has changed twice: the second one was begun after this call."""
    for _ in range(2):
        before, deadline = snapshots(directory), time.monotonic() + 20
        while snapshots(directory) == before:
            assert time.monotonic() < deadline, "no new snapshot"
            time.sleep(0.05)


@pytest.mark.heavy
def test_an_orderly_stop_loses_nothing(brokers: Brokers, tmp_path: Path) -> None:
    brokers.start()
    create_topic(brokers)
    produce(brokers, range(500))
    assert brokers.stop() == [0, 0]
    lose_the_metadata(tmp_path)
    done = restore(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["objects_kept"], said["topics"] >= 1) == (0, True)
    brokers.start()
    assert values(brokers) == list(range(500))
    produce(brokers, range(500, 600))
    assert values(brokers) == list(range(600))


@pytest.mark.heavy
def test_what_only_the_wals_had_comes_back_too(brokers: Brokers, tmp_path: Path) -> None:
    brokers.start()
    create_topic(brokers)
    a_copy_of_now(tmp_path)
    produce(brokers, range(500))
    for broker in (0, 1):
        brokers.kill(broker)
    lose_the_metadata(tmp_path)
    done = restore(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loss window" in done.stdout
    brokers.start()
    assert values(brokers) == list(range(500))


def test_a_bucket_without_a_copy_and_a_store_in_use_are_named(brokers: Brokers, tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    done = restore(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no whole snapshot" in done.stderr
    lose_the_metadata(tmp_path)
    brokers.start(0)
    assert brokers.stop() == [0]
    done = restore(tmp_path)
    assert done.returncode == 2
    assert "move it away" in done.stderr
