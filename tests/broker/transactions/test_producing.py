"""Real producers and consumers with transactions, against one broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from tests.broker.api.conftest import broker, wire  # noqa: F401


def producer(address: str, name: str, **more: Any) -> Producer:
    made = Producer({"bootstrap.servers": address, "transactional.id": name, "linger.ms": 0, **more})
    made.init_transactions(20)
    return made


def read(
    address: str, topic: str, count: int, *, isolation: str = "read_committed", within_s: float = 10
) -> list[bytes]:
    """The values from the start, as many as `count`, and whatever else comes in the next half second."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "reader",
            "isolation.level": isolation,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []
    left_s = within_s
    while left_s > 0:
        message = consumer.poll(0.1)
        left_s = left_s - 0.1 if len(values) < count else min(left_s, 0.5) - 0.1
        if message is not None and message.error() is None:
            values.append(message.value())
    consumer.close()
    return values


def send(made: Producer, topic: str, *values: bytes) -> None:
    for value in values:
        made.produce(topic, value, partition=0)


async def test_what_is_committed_is_seen_and_what_is_aborted_is_not(broker: Any) -> None:  # noqa: F811
    def work() -> tuple[list[bytes], list[bytes]]:
        one = producer(broker.address, "one")
        one.begin_transaction()
        send(one, "t", b"a", b"b")
        one.commit_transaction(20)
        one.begin_transaction()
        send(one, "t", b"lost")
        one.flush(10)
        one.abort_transaction(20)
        one.begin_transaction()
        send(one, "t", b"c")
        one.commit_transaction(20)
        return read(broker.address, "t", 3), read(broker.address, "t", 4, isolation="read_uncommitted")

    seen, everything = await asyncio.to_thread(work)
    assert seen == [b"a", b"b", b"c"]
    assert everything == [b"a", b"b", b"lost", b"c"]


async def test_who_takes_an_id_over_aborts_and_fences_who_had_it(broker: Any) -> None:  # noqa: F811
    def work() -> list[bytes]:
        old = producer(broker.address, "one")
        old.begin_transaction()
        send(old, "t", b"lost")
        old.flush(10)
        new = producer(broker.address, "one")
        new.begin_transaction()
        send(new, "t", b"a")
        new.commit_transaction(20)
        with pytest.raises(KafkaException):
            old.commit_transaction(20)
        return read(broker.address, "t", 1)

    assert await asyncio.to_thread(work) == [b"a"]
