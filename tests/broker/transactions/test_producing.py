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
    address: str, topic: str, count: int, *, isolation: str = "read_committed", within_s: float = 30
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
        one.flush(30)
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
        old.flush(30)
        new = producer(broker.address, "one")
        new.begin_transaction()
        send(new, "t", b"a")
        new.commit_transaction(20)
        with pytest.raises(KafkaException):
            old.commit_transaction(20)
        return read(broker.address, "t", 1)

    assert await asyncio.to_thread(work) == [b"a"]


async def test_offsets_become_the_groups_with_the_commit(broker: Any) -> None:  # noqa: F811
    def work() -> tuple[int, int, int]:
        made = producer(broker.address, "one")
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "isolation.level": "read_committed"})
        made.begin_transaction()
        send(made, "t", b"a")
        made.commit_transaction(20)
        where = [TopicPartition("t", 0, 1)]

        def transact(outcome: str) -> int:
            made.begin_transaction()
            made.send_offsets_to_transaction(where, consumer.consumer_group_metadata(), 20)
            getattr(made, outcome)(20)
            return int(consumer.committed([TopicPartition("t", 0)], timeout=30)[0].offset)

        aborted, kept = transact("abort_transaction"), transact("commit_transaction")
        made.begin_transaction()
        made.send_offsets_to_transaction([TopicPartition("t", 0, 2)], consumer.consumer_group_metadata(), 20)
        with pytest.raises(KafkaException):
            consumer.committed([TopicPartition("t", 0)], timeout=1)
        made.abort_transaction(20)
        after = int(consumer.committed([TopicPartition("t", 0)], timeout=30)[0].offset)
        consumer.close()
        return aborted, kept, after

    assert await asyncio.to_thread(work) == (-1001, 1, 1)


async def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(broker: Any) -> None:  # noqa: F811
    def work() -> tuple[bool, list[bytes]]:
        slow = producer(broker.address, "slow", **{"transaction.timeout.ms": 1000})
        slow.begin_transaction()
        send(slow, "t", b"lost")
        slow.flush(30)
        quick = producer(broker.address, "quick")
        quick.begin_transaction()
        send(quick, "t", b"a")
        quick.commit_transaction(20)
        seen = read(broker.address, "t", 1)
        try:
            slow.commit_transaction(20)
        except KafkaException:
            return True, seen
        return False, seen

    assert await asyncio.to_thread(work) == (True, [b"a"])
