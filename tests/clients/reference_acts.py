"""What `reference.py` offers, done with confluent-kafka in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient, NewTopic

from tests.clients.cells import Ground
from tests.clients.driver import Reading
from tests.clients.records import Got, Record
from tests.clients.with_confluent_kafka import DRIVER

_ADMIN_S = 30.0
_POLL_S = 0.5
_MORE_S = 1.0


def _admin(ground: Ground) -> AdminClient:
    """To be held until its answer is there: what it was asked ends with it."""
    return AdminClient({"bootstrap.servers": ground.bootstrap, "client.id": "reference"})


def create(ground: Ground, topic: str, partitions: int, configs: Mapping[str, str]) -> None:
    wanted = NewTopic(topic, num_partitions=partitions, replication_factor=3, config=dict(configs))
    admin = _admin(ground)
    admin.create_topics([wanted])[topic].result(_ADMIN_S)


def write(ground: Ground, topic: str, sent: Sequence[Record], codec: str) -> None:
    with closing(DRIVER.writer(ground, codec=codec, client_id="reference", large=True)) as writer:
        writer.send(topic, sent)


def read(ground: Ground, topic: str, count: int, committed_only: bool, more: bool) -> list[Got]:
    got: list[Got] = []
    reader = DRIVER.reader(ground, topic, Reading(committed_only=committed_only), client_id="reference")
    deadline = time.monotonic() + ground.timeout_s
    with closing(reader):
        while len(got) < count and time.monotonic() < deadline:
            got += reader.poll(_POLL_S)
        return got + (reader.poll(_MORE_S) if more else [])


def committed(ground: Ground, group: str, topic: str) -> dict[int, int]:
    admin = _admin(ground)
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    found = asked[group].result(_ADMIN_S).topic_partitions
    return {each.partition: each.offset for each in found if each.topic == topic and each.offset >= 0}


def leaders(ground: Ground, topic: str) -> dict[int, int]:
    found = _admin(ground).list_topics(topic, timeout=_ADMIN_S).topics[topic].partitions
    return {number: partition.leader for number, partition in found.items()}
