"""One real broker below the power-loss layer, and one real client that notes when it was promised what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.powerloss.trace import build_shim

ROOT = Path(__file__).resolve().parents[2]
TOPIC, GROUP, PARTITIONS = "kept", "readers", 3
READY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A record that the broker acknowledged, at the latest at `at_ns`."""

    at_ns: int
    partition: int
    offset: int
    value: str
    """Its digest."""


@dataclass(kw_only=True)
class Promises:
    """What a client may rely on, in the order in which it was told."""

    records: list[Kept] = field(default_factory=list)
    commits: list[tuple[int, int]] = field(default_factory=list)
    """(at_ns, committed offset of the group)."""

    def before(self, stamp_ns: int) -> tuple[list[Kept], int]:
        """The records, and the group's offset, that had been promised by then."""
        committed = [offset for at_ns, offset in self.commits if at_ns < stamp_ns]
        return [one for one in self.records if one.at_ns < stamp_ns], max(committed, default=-1)


WALS = {
    "disk": "file://{}/wal",
    "shared": "file://{}/shared?fence=verify",
    "objects": "objects://",
}


def digest(value: bytes) -> str:
    return blake2b(value, digest_size=8).hexdigest()


def flags(directory: Path, wal: str) -> list[str]:
    """A small ring and short uploads: laps, trims and objects within seconds."""
    return [
        *("--wal", WALS[wal].format(directory)),
        *("--id", "0", "--dir", str(directory), "--listeners", "PLAINTEXT://127.0.0.1:0", "--http", "127.0.0.1:0"),
        *("--no-bill", "--wal-size", "16MiB", "--upload-interval", "0.7"),
    ]


def run(directory: Path, trace: Path, wal: str, plant: str, seconds: float, rng: Random) -> Promises:
    """Runs the broker on `directory`, which must be empty, and kills it after `seconds` of load."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(build_shim(trace.parent)),
        "POWERLOSS_ROOT": str(directory),
        "POWERLOSS_TRACE": str(trace),
    }
    command = [sys.executable, "-m", "tests.powerloss.launch", plant, *flags(directory, wal)]
    with (trace.parent / "broker.err").open("wb") as narration:
        broker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=narration)
    try:
        assert broker.stdout is not None
        ready = broker.stdout.readline()
        if not ready:
            raise RuntimeError(f"the broker did not start: {(trace.parent / 'broker.err').read_text()}")
        return load(address_in(ready), seconds, rng)
    finally:
        broker.kill()
        broker.communicate()


def address_in(ready: bytes) -> str:
    """Where a broker listens, by its ready line."""
    return str(json.loads(ready)["kafka"])


def load(bootstrap: str, seconds: float, rng: Random) -> Promises:
    """Produces with acks=all and commits offsets."""
    promises = Promises()
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        future.result(20)
    producer = Producer(
        {"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 2, "log_level": 0}
    )
    group = Consumer({"bootstrap.servers": bootstrap, "group.id": GROUP, "log_level": 0, "enable.auto.commit": False})

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            kept = Kept(
                at_ns=time.monotonic_ns(), partition=partition, offset=offset, value=digest(message.value() or b"")
            )
            promises.records.append(kept)

    number, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(rng.randrange(1, 6)):
            value = b"%d " % number + rng.randbytes(rng.choice((20, 300, 3_000, 60_000)))
            producer.produce(TOPIC, value, partition=rng.randrange(PARTITIONS), on_delivery=delivered)
            number += 1
        producer.poll(0.005)
        if number % 20 < 3:
            group.commit(offsets=[TopicPartition(TOPIC, 0, number)], asynchronous=False)
            promises.commits.append((time.monotonic_ns(), number))
    producer.flush(10)
    group.close()
    return promises
