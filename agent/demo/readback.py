"""Reads every partition back from its first offset to its end, with consumers that belong to no live group."""

from __future__ import annotations

import signal
import time
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from agent.demo.ledger import PartitionAudit, Records, Sent, total
from agent.demo.payload import read_mark

PATIENCE_S = 20.0
"""Without one record for this long, what has not come is lost."""


def run(bootstrap: str, sent: list[Sent], pipe: Connection[Any, Any]) -> None:
    """The process's main: reads all, sending counts on the way and the `Records` at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(read_back(bootstrap, sent, pipe))


def read_back(bootstrap: str, sent: list[Sent], pipe: Connection[Any, Any] | None = None) -> Records:
    """What the cluster has of what was sent."""
    audits = {(item.topic, item.partition): PartitionAudit(sent=item) for item in sent}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "demo-read-back",
            "client.id": "demo-read-back",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": 100,
            "fetch.max.bytes": 16_777_216,
            "max.partition.fetch.bytes": 4_194_304,
            "queued.max.messages.kbytes": 65_536,
            "log_level": 2,
        }
    )
    try:
        _read(consumer, audits, pipe)
    finally:
        consumer.close()
    return total(list(audits.values()))


def _read(consumer: Consumer, audits: dict[tuple[str, int], PartitionAudit], pipe: Connection[Any, Any] | None) -> None:
    ends = {key: consumer.get_watermark_offsets(TopicPartition(*key), timeout=20.0, cached=False)[1] for key in audits}
    open_partitions = {key for key, end in ends.items() if end > 0}
    consumer.assign([TopicPartition(*key, OFFSET_BEGINNING) for key in open_partitions])
    records, told, last = 0, time.monotonic(), time.monotonic()
    while open_partitions and time.monotonic() - last < PATIENCE_S:
        for message in consumer.consume(2000, timeout=0.5):
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if message.error() is not None or topic is None or partition is None or offset is None:
                continue
            audits[topic, partition].read(message.key() or b"", read_mark(message.value()))
            records += 1
            last = time.monotonic()
            if offset + 1 >= ends[topic, partition]:
                open_partitions.discard((topic, partition))
        if pipe is not None and time.monotonic() - told >= 1.0:
            told = time.monotonic()
            pipe.send(records)
