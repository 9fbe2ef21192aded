"""confluent-kafka (librdkafka), the newest and that of three years ago."""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from tests.clients.admin import administer
from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.confluent_kafka_admin import ConfluentAdmin
from tests.clients.driver import ALONE, CODECS, HEARTBEAT_MS, LARGE_LIMIT, Reading
from tests.clients.records import Got, Record
from tests.clients.usual import cells

NAME = "confluent-kafka"
_NEW = confluent_kafka.libversion()[1] >= 0x020C0000
"""librdkafka 2.12 or newer: the protocol of KIP-848 is finished there."""
CANNOT = {} if _NEW else {"kip848": "the finished protocol came with librdkafka 2.12"}
SETTINGS = {
    "group": f"heartbeat.interval.ms={HEARTBEAT_MS}, only so that members learn of each other soon",
    "large": f"message.max.bytes={LARGE_LIMIT} (producer); max.message.bytes={LARGE_LIMIT} on the topic",
    "kip848": "group.protocol=consumer",
    "near": "client.rack",
    "oauthbearer": "oauth_cb",
}


def version() -> str:
    return metadata.version("confluent-kafka")


def available() -> str:
    return ""


def settings(ground: Ground, door: str = "", client_id: str = "") -> dict[str, Any]:
    """What every client of this library is given."""
    common = {"client.id": client_id or ground.name, "log_level": 0}
    if not door:
        return common | {"bootstrap.servers": ground.bootstrap}
    trusting = {"ssl.ca.location": str(ground.ca_file)}
    if door == "mTLS":
        own = {"ssl.certificate.location": str(ground.certificate), "ssl.key.location": str(ground.certificate)}
        return common | trusting | own | {"bootstrap.servers": ground.mutual, "security.protocol": "SSL"}
    secure = {"bootstrap.servers": ground.secure, "security.protocol": "SASL_SSL", "sasl.mechanism": door}
    if door == "OAUTHBEARER":
        return common | trusting | secure | {"oauth_cb": lambda _: (ground.token_file.read_text(), time.time() + 3600)}
    return common | trusting | secure | {"sasl.username": ground.user, "sasl.password": ground.password}


class _Writer:
    def __init__(self, ground: Ground, given: dict[str, Any]) -> None:
        self._producer = Producer({"acks": "all", "linger.ms": 5} | given)
        self._timeout_s = ground.timeout_s
        self._failed: list[str] = []

    def send(self, topic: str, sent: Iterable[Record]) -> None:
        for each in sent:
            self._produce(topic, each)
        left = self._producer.flush(self._timeout_s)
        if left or self._failed:
            raise RuntimeError(f"{left} records were not delivered, {len(self._failed)} failed: {self._failed[:1]}")

    def _produce(self, topic: str, each: Record) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, key=each.key, value=each.value, headers=list(each.headers), on_delivery=self._told
                )
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _told(self, error: object, _: object) -> None:
        if error:
            self._failed.append(str(error))

    def close(self) -> None:
        self._producer.flush(self._timeout_s)

    def begin(self) -> None:
        self._producer.begin_transaction()

    def commit(self) -> None:
        self._producer.commit_transaction(self._timeout_s)

    def abort(self) -> None:
        self._producer.abort_transaction(self._timeout_s)

    def send_offsets(self, reader: Any) -> None:
        consumer = reader.consumer
        stands = consumer.position(consumer.assignment())
        known = [each for each in stands if each.offset >= 0]
        self._producer.send_offsets_to_transaction(known, consumer.consumer_group_metadata(), self._timeout_s)


class _Reader:
    def __init__(self, topic: str, group: str, given: dict[str, Any]) -> None:
        fixed = {"group.id": group or "none", "auto.offset.reset": "earliest", "enable.auto.commit": False}
        self.consumer = Consumer(fixed | given)
        if "oauth_cb" in given:
            self.consumer.poll(0.2)  # which is what calls it, in version 2.0
        if group:
            self.consumer.subscribe([topic])
        else:
            partitions = self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
            self.consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])

    def poll(self, seconds: float) -> list[Got]:
        first = self.consumer.poll(seconds)  # consume() would wait for as many as were asked for
        return [] if first is None else [_got(each) for each in (first, *self.consumer.consume(5000, 0))]

    def assigned(self) -> set[int]:
        return {each.partition for each in self.consumer.assignment()}

    def commit(self) -> None:
        self.consumer.commit(asynchronous=False)

    def close(self) -> None:
        self.consumer.close()


def _got(message: Any) -> Got:
    if message.error():
        raise RuntimeError(str(message.error()))
    headers = tuple((name, value) for name, value in message.headers() or [])
    record = Record(key=message.key(), value=message.value(), headers=headers)
    return Got(partition=message.partition(), offset=message.offset(), record=record)


class _Driver:
    def writer(
        self,
        ground: Ground,
        *,
        door: str = "",
        codec: str = "none",
        idempotent: bool = False,
        large: bool = False,
        client_id: str = "",
    ) -> _Writer:
        given = settings(ground, door, client_id) | {"compression.type": codec, "enable.idempotence": idempotent}
        return _Writer(ground, given | ({"message.max.bytes": LARGE_LIMIT} if large else {}))

    def transactional(self, ground: Ground, transactional_id: str) -> _Writer:
        writer = _Writer(ground, settings(ground) | {"transactional.id": transactional_id})
        writer._producer.init_transactions(ground.timeout_s)
        return writer

    def reader(self, ground: Ground, topic: str, how: Reading = ALONE, *, client_id: str = "") -> _Reader:
        given = settings(ground, how.door, client_id)
        given["isolation.level"] = "read_committed" if how.committed_only else "read_uncommitted"
        if how.protocol != "classic":
            given["group.protocol"] = how.protocol
        elif how.group:
            given["heartbeat.interval.ms"] = HEARTBEAT_MS
        return _Reader(topic, how.group, given | ({"client.rack": how.rack} if how.rack else {}))


DRIVER = _Driver()
CELLS: dict[str, Cell] = {
    **cells(DRIVER, (column for column in COLUMNS if column != "admin" and column not in CANNOT), CODECS),
    "admin": lambda ground: administer(DRIVER, ConfluentAdmin(settings(ground)), ground),
}
