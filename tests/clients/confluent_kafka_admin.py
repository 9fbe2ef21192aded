"""The admin column of confluent-kafka: topics from creation to deletion, and a group."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

from tests.clients import reference
from tests.clients.cells import Ground
from tests.clients.driver import Driver
from tests.clients.records import records
from tests.clients.usual import read_all

_SECONDS = 30.0
_LOOK_S = 0.05


def admin(driver: Driver, settings: dict[str, Any], ground: Ground) -> list[str]:
    """Each answer is looked at; what was changed is asked again."""
    client = AdminClient(settings)
    topic, group = ground.name, f"{ground.name}-group"
    faults = []
    wanted = NewTopic(topic, num_partitions=2, replication_factor=3, config={"retention.ms": "3600000"})
    client.create_topics([wanted])[topic].result(_SECONDS)
    resource = ConfigResource(ResourceType.TOPIC, topic)
    faults += _configured(client, resource, "retention.ms", "3600000")
    _alter(client, topic)
    faults += _configured(client, resource, "retention.ms", "7200000")
    client.create_partitions([NewPartitions(topic, 4)])[topic].result(_SECONDS)
    partitions = _partitions(client, topic, 4)
    faults += [f"4 partitions were wanted, {partitions} are there"] if partitions != 4 else []
    reference.write(ground, topic, records(ground.records))
    with closing(driver.reader(ground, topic, group=group)) as reader:
        got = read_all(reader, ground.records, ground.timeout_s)
        reader.commit()
    faults += _group(client, group)
    faults += _deleted_records(client, topic, max(each.offset for each in got if each.partition == 0))
    client.delete_topics([topic])[topic].result(_SECONDS)
    partitions = _partitions(client, topic, 0)
    return faults + ([f"the deleted topic still has {partitions} partitions"] if partitions else [])


def _alter(client: AdminClient, topic: str) -> None:
    """Incrementally, where the version can; the whole set else."""
    if not hasattr(client, "incremental_alter_configs"):
        resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"retention.ms": "7200000"})
        client.alter_configs([resource])[resource].result(_SECONDS)
        return
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

    entry = ConfigEntry("retention.ms", "7200000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client.incremental_alter_configs([resource])[resource].result(_SECONDS)


def _configured(client: AdminClient, resource: ConfigResource, name: str, value: str) -> list[str]:
    found = client.describe_configs([resource])[resource].result(_SECONDS)[name].value
    return [] if found == value else [f"{name} was set to {value} and is {found}"]


def _partitions(client: AdminClient, topic: str, wanted: int) -> int:
    """How many there are: every broker is asked in turn, and the last to hear of a change is waited for."""
    deadline = time.monotonic() + _SECONDS
    while True:
        topics = client.list_topics(timeout=_SECONDS).topics
        found = len(topics[topic].partitions) if topic in topics else 0
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def _group(client: AdminClient, group: str) -> list[str]:
    listed = [each.group_id for each in client.list_consumer_groups().result(_SECONDS).valid]
    described = client.describe_consumer_groups([group])[group].result(_SECONDS)
    faults = [] if group in listed else [f"{group} is not among the groups {listed}"]
    if described.state.name != "EMPTY" or described.members:
        faults.append(f"{group} is {described.state.name} with {len(described.members)} members")
    client.delete_consumer_groups([group])[group].result(_SECONDS)
    listed = [each.group_id for each in client.list_consumer_groups().result(_SECONDS).valid]
    return faults + ([f"{group} was deleted and is listed"] if group in listed else [])


def _deleted_records(client: AdminClient, topic: str, last: int) -> list[str]:
    """Partition 0 without its records up to `last`, where the version can; and refused beyond the end."""
    if not hasattr(client, "delete_records"):
        return []
    there = TopicPartition(topic, 0, last)
    low = client.delete_records([there])[there].result(_SECONDS).low_watermark
    faults = [] if low == last else [f"records before {last} were deleted, the log starts at {low}"]
    beyond = TopicPartition(topic, 0, last + 100)
    try:
        client.delete_records([beyond])[beyond].result(_SECONDS)
    except KafkaException:
        return faults
    return [*faults, "records beyond the end were deleted"]
