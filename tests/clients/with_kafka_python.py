"""kafka-python 3."""

from __future__ import annotations

import time
from importlib import metadata

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from tests.clients.cells import Cell, Ground
from tests.clients.records import PARTITIONS, Got, Record, differences, records

NAME = "kafka-python"


def version() -> str:
    return metadata.version(NAME)


def available() -> str:
    return ""


def run(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
    """Creates the topic, produces, reads back through a group."""
    servers = bootstrap.split(",")
    admin = KafkaAdminClient(bootstrap_servers=servers)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=3)])
    finally:
        admin.close()
    _produce(servers, topic, sent, timeout)
    return _consume(servers, topic, len(sent), timeout)


def _produce(servers: list[str], topic: str, sent: list[Record], timeout: float) -> None:
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)
    try:
        futures = [producer.send(topic, key=each.key, value=each.value, headers=list(each.headers)) for each in sent]
        producer.flush(timeout=timeout)
        for future in futures:
            future.get(timeout=timeout)
    finally:
        producer.close(timeout=5)


def _consume(servers: list[str], topic: str, count: int, timeout: float) -> list[Got]:
    consumer = KafkaConsumer(topic, bootstrap_servers=servers, group_id=f"{topic}-group", auto_offset_reset="earliest")
    got: list[Got] = []
    deadline = time.monotonic() + timeout
    try:
        while len(got) < count and time.monotonic() < deadline:
            for messages in consumer.poll(timeout_ms=1000).values():
                for message in messages:
                    record = Record(key=message.key, value=message.value, headers=tuple(message.headers))
                    got.append(Got(partition=message.partition, offset=message.offset, record=record))
        consumer.commit()
    finally:
        consumer.close()
    return got


def _group(ground: Ground) -> list[str]:
    sent = records(ground.records)
    return differences(sent, run(ground.bootstrap, ground.name, sent, ground.timeout_s))


CELLS: dict[str, Cell] = {"group": _group}
CANNOT: dict[str, str] = {}
