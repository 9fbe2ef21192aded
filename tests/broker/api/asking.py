"""Requests as the tests send them, and the records in them."""

from __future__ import annotations

import asyncio
import struct
from datetime import timedelta
from typing import Any

from crc32c import crc32c

from tests.broker.api.conftest import Wire

SOON = timedelta(milliseconds=100)
LONG = timedelta(seconds=20)


def batch(value: bytes = b"v", *, producer: int = -1, sequence: int = -1, epoch: int = 0) -> bytes:
    """A batch of one record."""
    record = struct.pack(">bbbbb", 0, 0, 0, 1, len(value) * 2) + value + b"\0"
    record = bytes([len(record) * 2]) + record
    epoch = epoch if producer >= 0 else -1
    body = struct.pack(">hiqqqhii", 0, 0, 1000, 1000, producer, epoch, sequence, 1) + record
    return struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body


async def create(wire: Wire, topic: str, partitions: int = 1, **configs: str) -> Any:
    """CreateTopics of one topic; its part of the answer."""
    settings = [{"name": name.replace("_", "."), "value": value} for name, value in configs.items()]
    asked = {
        "name": topic,
        "num_partitions": partitions,
        "replication_factor": 1,
        "assignments": (),
        "configs": settings,
    }
    found = (await wire.ask(19, 7, topics=[asked], timeout=LONG)).topics[0]
    if not int(found.error_code):
        async with asyncio.timeout(30):
            while not await _is_open(wire, topic):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    return found


async def _is_open(wire: Wire, topic: str) -> bool:
    """Whether the leader has taken the topic up; until then it says NOT_LEADER_OR_FOLLOWER, and clients ask again."""
    part = {"partition_index": 0, "timestamp": -1, "current_leader_epoch": -1}
    asked = [{"name": topic, "partitions": [part]}]
    found = await wire.ask(2, 5, replica_id=-1, isolation_level=0, topics=asked)
    return int(found.topics[0].partitions[0].error_code) == 0


async def produce(
    wire: Wire,
    topic: str,
    records: bytes | None,
    *,
    version: int = 9,
    acks: int = -1,
    index: int = 0,
    timeout: timedelta = LONG,
) -> Any:
    """Produce of one partition; its part of the answer."""
    data = [{"name": topic, "partition_data": [{"index": index, "records": records}]}]
    found = await wire.ask(0, version, transactional_id=None, acks=acks, timeout=timeout, topic_data=data)
    return found.responses[0].partition_responses[0]


def fetch_values(
    topic: Any,
    *,
    offset: int = 0,
    wait: timedelta = SOON,
    max_bytes: int = 1000,
    session: int = 0,
    session_epoch: int = -1,
    rack: str = "",
) -> Any:
    """The fields of a Fetch of one partition, by name or by id."""
    part = {
        "partition": 0,
        "fetch_offset": offset,
        "partition_max_bytes": max_bytes,
        "current_leader_epoch": -1,
        "log_start_offset": -1,
        "last_fetched_epoch": -1,
    }
    return {
        "replica_id": -1,
        "max_wait": wait,
        "min_bytes": 1,
        "max_bytes": max_bytes,
        "isolation_level": 0,
        "session_id": session,
        "session_epoch": session_epoch,
        "topics": [{"topic": topic, "topic_id": topic, "partitions": [part]}],
        "forgotten_topics_data": (),
        "rack_id": rack,
    }


async def fetch(wire: Wire, topic: Any, *, version: int = 11, **values: Any) -> Any:
    """Fetch of one partition; its part of the answer."""
    found = await wire.ask(1, version, **fetch_values(topic, **values))
    return found.responses[0].partitions[0]
