"""kafka-python's admin clients, for the admin column: version 3's, and that of 2020, whose answers are responses."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic


class NewAdmin:
    """Version 3; what a broker refuses it raises."""

    lacks: frozenset[str] = frozenset()

    def __init__(self, settings: dict[str, Any]) -> None:
        self._client = KafkaAdminClient(**settings)

    def create(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=3, topic_configs=configs)
        self._good(self._client.create_topics([wanted]))

    def delete(self, topic: str) -> None:
        self._good(self._client.delete_topics([topic]))

    def partitions(self, topic: str) -> int:
        if topic not in self._client.list_topics():
            return 0
        return len(self._client.describe_topics([topic])[0]["partitions"])

    def grow(self, topic: str, partitions: int) -> None:
        self._good(self._client.create_partitions({topic: NewPartitions(partitions)}))

    def alter(self, topic: str, name: str, value: str) -> None:
        self._good(self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})]))

    def config(self, topic: str, name: str) -> str:
        found = self._client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        return str(found["topic"][topic][name]["value"])

    def groups(self) -> set[str]:
        return {each["group_id"] for each in self._client.list_groups()}

    def group(self, group: str) -> tuple[str, int]:
        found = self._client.describe_groups([group])[group]
        return str(found["group_state"]), len(found["members"])

    def delete_group(self, group: str) -> None:
        self._good(self._client.delete_groups([group]))

    def delete_records(self, topic: str, partition: int, before: int) -> int:
        there = TopicPartition(topic, partition)
        found = self._client.delete_records({there: before})[there]
        return int(found["low_watermark"])

    def close(self) -> None:
        self._client.close()

    def _good(self, answer: Any) -> None:
        """It has raised by itself."""


class OldAdmin(NewAdmin):
    """Version 2.0.2: no deletion of records; errors of some answers are only codes in them."""

    lacks = frozenset({"delete_records"})

    def config(self, topic: str, name: str) -> str:
        (answer,) = self._client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        ((_, _, _, _, entries),) = answer.resources
        return next(str(entry[1]) for entry in entries if entry[0] == name)

    def groups(self) -> set[str]:
        return {group for group, *_ in self._client.list_consumer_groups()}

    def group(self, group: str) -> tuple[str, int]:
        (found,) = self._client.describe_consumer_groups([group])
        return found.state, len(found.members)

    def delete_group(self, group: str) -> None:
        ((_, error),) = self._client.delete_consumer_groups([group])
        if error.errno:
            raise error(group)

    def _good(self, answer: Any) -> None:
        if "error_code=0" not in str(answer) and "_errors=[" not in str(answer):
            raise RuntimeError(str(answer))
