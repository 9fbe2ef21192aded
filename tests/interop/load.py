"""Traffic for the interop suite: a skewed topic that is written all the time, and two groups, one of which stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

TOPIC = "orders"
OWNERS = (1, 1, 1, 1, 1, 1, 2, 3)
"""Who leads each partition: broker 1 leads six of eight."""
RECORD = b"x" * 8192
RECORDS_PER_S = 300
"""2.3 MiB a second."""
MOST_BYTES = 256 << 20
"""Of each partition."""
STOPPED, LIVE = "checkout", "billing"


@contextmanager
def running(bootstrap: str, replicas: int = 1, *, stopped: bool = True) -> Iterator[None]:
    """Creates the topic and writes and reads it until the block ends; with `stopped`, `checkout` read a little."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    held = {n: [(owner - 1 + at) % 3 + 1 for at in range(replicas)] for n, owner in enumerate(OWNERS)}
    admin.create_topics([NewTopic(TOPIC, replica_assignments=held, topic_configs={"retention.bytes": str(MOST_BYTES)})])
    admin.close()
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(bootstrap, stop)) for work in (_produce, _consume)]
    for thread in threads:
        thread.start()
    try:
        if stopped:
            _read_a_little(bootstrap)
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)


def _produce(bootstrap: str, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "1", "linger.ms": 50, "client.id": "shop"})
    sent = 0
    while not stop.wait(0.1):
        for _ in range(RECORDS_PER_S // 10):
            producer.produce(TOPIC, RECORD, partition=sent % len(OWNERS))
            sent += 1
        producer.poll(0)
    producer.flush(10)


def _consume(bootstrap: str, stop: threading.Event) -> None:
    consumer = _consumer(bootstrap, LIVE)
    while not stop.is_set():
        consumer.consume(500, timeout=0.5)
    consumer.close()


def _read_a_little(bootstrap: str) -> None:
    consumer = _consumer(bootstrap, STOPPED)
    seen = 0
    for _ in range(120):
        seen += len(consumer.consume(200, timeout=0.5))
        if seen >= 1000:
            break
    consumer.commit(asynchronous=False)
    consumer.close()


def _consumer(bootstrap: str, group: str) -> Consumer:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "client.id": group, "auto.offset.reset": "earliest",
         "auto.commit.interval.ms": 1000}
    )  # fmt: skip
    consumer.subscribe([TOPIC])
    return consumer
