"""A cluster in one process: real SQLite, real rings, a real directory of objects; brokers that can be crashed."""

import asyncio
import os
import random
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from crc32c import crc32c

from broker.clock import SystemClock
from broker.errors import KafkaError
from broker.log import Log, Logs, LogsConfig
from broker.metadata import Metadata, Registration
from broker.objects import open_store

FAST = {
    "heartbeat_s": 0.1,
    "session_s": 0.6,
    "poll_s": 0.03,
    "lock_wait_s": 0.2,
    "orphan_s": 0.3,
    "upload_interval_s": 3600.0,
    "housekeeping_s": 3600.0,
    "wal_bytes": 4 * 1024 * 1024,
}


def batch(count: int = 1, *, producer: int = -1, sequence: int = -1, at_ms: int = 1000, size: int = 50) -> bytes:
    """A produced batch, as a client would send it; it claims zstd, so that nobody looks inside."""
    epoch = 0 if producer >= 0 else -1
    body = struct.pack(">hiqqqhii", 4, count - 1, at_ms, at_ms + count - 1, producer, epoch, sequence, count)
    body += b"x" * (size * count)
    return struct.pack(">qiibI", 0, len(body) + 9, 0, 2, crc32c(body)) + body


WALS = {
    "disk": "file://{path}/wal/{broker}",
    "shared": "file://{path}/wal?fence=verify",
    "objects": "objects://",
}


class Cluster:
    """`wal` is the kind of everybody's WAL: disk, or objects; `metadata_url` is the store they share."""

    def __init__(self, path: Path, wal: str = "disk", metadata_url: str = "") -> None:
        self.path, self.wal = path, wal
        self.metadata_url = metadata_url or f"sqlite://{path}/metadata.db"
        self.said: list[str] = []
        self.brokers: dict[int, tuple[Metadata, Logs]] = {}
        self.clock = SystemClock()

    async def start(self, broker: int = 0, **config: object) -> Logs:
        clock = self.clock
        metadata = await Metadata.open(self.metadata_url, clock=clock, entropy=os.urandom)
        store = open_store(f"file://{self.path}/objects", clock=clock, rng=random.Random(1))
        wal = WALS[self.wal].format(path=self.path, broker=broker)
        logs = Logs(
            metadata,
            store,
            wal_store=lambda url: store,
            clock=clock,
            entropy=os.urandom,
            broker_id=broker,
            host_id="here",
            config=LogsConfig(wal_url=wal, **{**FAST, **config}),  # type: ignore[arg-type]
            say=self.said.append,
        )
        await logs.lock()
        await logs.start(
            Registration(
                id=broker,
                listeners={"PLAINTEXT": ("127.0.0.1", 9092 + broker)},
                http="http://127.0.0.1:0",
                zone="abc"[broker % 3],
                spot=False,
                version="0",
                host_id="here",
                wal_url=wal,
            )
        )
        self.brokers[broker] = metadata, logs
        return logs

    async def crash(self, broker: int) -> None:
        """What kill -9 leaves: the ring as it is, the lock free, nothing said to anybody."""
        metadata, logs = self.brokers.pop(broker)
        for task in list(logs._tasks):
            task.cancel()
        await asyncio.gather(*logs._tasks, return_exceptions=True)
        await logs._wal.close()  # type: ignore[union-attr]
        await metadata.close()

    async def stop(self, broker: int) -> None:
        metadata, logs = self.brokers.pop(broker)
        await logs.stop()
        await metadata.close()

    def metadata(self, broker: int = 0) -> Metadata:
        return self.brokers[broker][0]

    async def log(self, broker: int, index: int = 0, topic: str = "t") -> Log:
        """The log, as soon as that broker has it open."""
        async with asyncio.timeout(30):
            while True:
                try:
                    return self.brokers[broker][1].get(topic, index)
                except KafkaError:
                    await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    for broker in list(cluster.brokers):
        await cluster.stop(broker)


@pytest.fixture
def make_batch() -> Callable[..., bytes]:
    return batch
