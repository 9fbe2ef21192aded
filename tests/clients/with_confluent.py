"""confluent-kafka (librdkafka)."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.records import PARTITIONS, Got, Record

NAME = "confluent-kafka"


def run(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
    """Creates the topic, produces with idempotence, reads back through a group."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=3)]).values():
        future.result(30)
    _produce(bootstrap, topic, sent, timeout)
    return _consume(bootstrap, topic, len(sent), timeout)


def _produce(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> None:
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "lz4"})
    for each in sent:
        while True:
            try:
                producer.produce(
                    topic,
                    key=each.key,
                    value=each.value,
                    headers=list(each.headers),
                    on_delivery=lambda error, _: failed.append(str(error)) if error else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(timeout)
    if left or failed:
        raise RuntimeError(f"{left} records were not delivered, {len(failed)} failed: {failed[:1]}")


def _consume(bootstrap: str, topic: str, count: int, timeout: float) -> list[Got]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{topic}-group", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    got: list[Got] = []
    deadline = time.monotonic() + timeout
    try:
        while len(got) < count and time.monotonic() < deadline:
            for message in consumer.consume(1000, 1.0):
                if message.error():
                    raise RuntimeError(str(message.error()))
                headers = tuple((name, value) for name, value in message.headers() or [])
                record = Record(key=message.key(), value=message.value(), headers=headers)
                got.append(Got(partition=message.partition(), offset=message.offset(), record=record))
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()
    return got
