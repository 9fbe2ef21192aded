"""aiokafka."""

from __future__ import annotations

import asyncio
from importlib import metadata

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.clients.cells import Cell, Ground
from tests.clients.records import PARTITIONS, Got, Record, differences, records

NAME = "aiokafka"


def version() -> str:
    return metadata.version(NAME)


def available() -> str:
    return ""


_AT_ONCE = 2000


def run(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
    """Creates the topic, produces with idempotence, reads back through a group."""
    return asyncio.run(_run(bootstrap, topic, sent, timeout))


async def _run(bootstrap: str, topic: str, sent: list[Record], timeout: float) -> list[Got]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=3)])
    finally:
        await admin.close()
    async with asyncio.timeout(timeout):
        await _produce(bootstrap, topic, sent)
    return await _consume(bootstrap, topic, len(sent), timeout)


async def _produce(bootstrap: str, topic: str, sent: list[Record]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type="gzip")
    await producer.start()
    try:
        for first in range(0, len(sent), _AT_ONCE):
            futures = [
                await producer.send(topic, key=each.key, value=each.value, headers=list(each.headers))
                for each in sent[first : first + _AT_ONCE]
            ]
            await asyncio.gather(*futures)
    finally:
        await producer.stop()


async def _consume(bootstrap: str, topic: str, count: int, timeout: float) -> list[Got]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=f"{topic}-group", auto_offset_reset="earliest"
    )
    got: list[Got] = []
    await consumer.start()
    try:
        async with asyncio.timeout(timeout):
            while len(got) < count:
                for messages in (await consumer.getmany(timeout_ms=1000)).values():
                    got += [_got(message) for message in messages]
        await consumer.commit()
    except TimeoutError:
        return got
    finally:
        await consumer.stop()
    return got


def _got(message: object) -> Got:
    record = Record(key=message.key, value=message.value, headers=tuple(message.headers))
    return Got(partition=message.partition, offset=message.offset, record=record)


def _group(ground: Ground) -> list[str]:
    sent = records(ground.records)
    return differences(sent, run(ground.bootstrap, ground.name, sent, ground.timeout_s))


CELLS: dict[str, Cell] = {"group": _group}
CANNOT: dict[str, str] = {}
