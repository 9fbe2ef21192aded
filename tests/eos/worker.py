"""Consume, transform, produce, exactly once: what an application does, in a process that may be killed at any moment.

`python -m tests.eos.worker BOOTSTRAP NAME SEED`: reads "in", writes "out", commits its offsets in the same transaction.
Some transactions are doomed: their records say so, reach the brokers, and are aborted. Whoever reads one finds a fault.
"""

from __future__ import annotations

import contextlib
import random
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

DONE, DOOMED = b"done:", b"doomed:"
GROUP = "eos"
_DOOMED_SHARE = 0.1
_AT_ONCE = 40
_WAIT_S = 0.2
_ANSWER_S = 30.0
TIMEOUT_MS = 20_000
"""Of a transaction."""


def clients(bootstrap: str, name: str) -> tuple[Consumer, Producer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": GROUP,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 500,
            "log_level": 0,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "transaction.timeout.ms": TIMEOUT_MS,
            "linger.ms": 5,
            "log_level": 0,
        }
    )
    return consumer, producer


def transform(producer: Producer, messages: list[Message], prefix: bytes) -> None:
    for message in messages:
        producer.produce("out", prefix + (message.value() or b""), partition=message.partition())


def rewind(consumer: Consumer) -> None:
    """Back to what the group has committed."""
    for part in consumer.committed(consumer.assignment(), timeout=_ANSWER_S):
        consumer.seek(TopicPartition(part.topic, part.partition, max(part.offset, 0)))


def one_round(consumer: Consumer, producer: Producer, rng: random.Random) -> None:
    """One transaction, when there is something to read."""
    messages = [
        message for message in consumer.consume(rng.randint(1, _AT_ONCE), timeout=_WAIT_S) if message.error() is None
    ]
    if not messages:
        return
    producer.begin_transaction()
    if rng.random() < _DOOMED_SHARE:
        transform(producer, messages, DOOMED)
        producer.flush(_ANSWER_S)
        producer.abort_transaction(_ANSWER_S)
        rewind(consumer)
        return
    transform(producer, messages, DONE)
    offsets = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _ANSWER_S)
    producer.commit_transaction(_ANSWER_S)


def work(consumer: Consumer, producer: Producer, rng: random.Random) -> None:
    """Until something that only a new producer can mend; a transaction that can be aborted is, and done again."""
    producer.init_transactions(_ANSWER_S)
    consumer.subscribe(["in"])
    while True:
        try:
            one_round(consumer, producer, rng)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            print(f"{error.name()}: {error.str()}", file=sys.stderr, flush=True)
            if error.fatal() or not error.txn_requires_abort():
                raise
            producer.abort_transaction(_ANSWER_S)
            rewind(consumer)


def main() -> int:
    bootstrap, name, seed = sys.argv[1:]
    rng = random.Random(f"{name} {seed}")
    while True:
        consumer, producer = clients(bootstrap, name)
        try:
            work(consumer, producer, rng)
        except KafkaException as failure:
            print(f"starting over: {failure}", file=sys.stderr, flush=True)
        with contextlib.suppress(KafkaException, RuntimeError):
            consumer.close()


if __name__ == "__main__":
    sys.exit(main())
