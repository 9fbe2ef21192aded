"""confluent-kafka's admin client, for the admin column."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

_SECONDS = 30.0


class ConfluentAdmin:
    """Version 2.0.2 cannot delete records, and alters the whole set of configs."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._client = AdminClient(settings)
        self.lacks = frozenset() if hasattr(self._client, "delete_records") else frozenset({"delete_records"})

    def create(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=3, config=configs)
        self._client.create_topics([wanted])[topic].result(_SECONDS)

    def delete(self, topic: str) -> None:
        self._client.delete_topics([topic])[topic].result(_SECONDS)

    def partitions(self, topic: str) -> int:
        topics = self._client.list_topics(timeout=_SECONDS).topics
        return len(topics[topic].partitions) if topic in topics else 0

    def grow(self, topic: str, partitions: int) -> None:
        self._client.create_partitions([NewPartitions(topic, partitions)])[topic].result(_SECONDS)

    def alter(self, topic: str, name: str, value: str) -> None:
        if not hasattr(self._client, "incremental_alter_configs"):
            resource = ConfigResource(ResourceType.TOPIC, topic, set_config={name: value})
            self._client.alter_configs([resource])[resource].result(_SECONDS)
            return
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self._client.incremental_alter_configs([resource])[resource].result(_SECONDS)

    def config(self, topic: str, name: str) -> str:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        return str(self._client.describe_configs([resource])[resource].result(_SECONDS)[name].value)

    def groups(self) -> set[str]:
        return {each.group_id for each in self._client.list_consumer_groups().result(_SECONDS).valid}

    def group(self, group: str) -> tuple[str, int]:
        found = self._client.describe_consumer_groups([group])[group].result(_SECONDS)
        return found.state.name, len(found.members)

    def delete_group(self, group: str) -> None:
        self._client.delete_consumer_groups([group])[group].result(_SECONDS)

    def delete_records(self, topic: str, partition: int, before: int) -> int:
        there = TopicPartition(topic, partition, before)
        return int(self._client.delete_records([there])[there].result(_SECONDS).low_watermark)

    def close(self) -> None:
        """It ends with this object."""
