"""aiokafka's admin client, for the admin column: answers are plain responses whose errors nobody raised."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

_SECONDS = 30.0


class AiokafkaAdmin:
    """It cannot delete groups."""

    lacks = frozenset({"delete_group"})

    def __init__(self, settings: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        self._do(self._start(settings))

    async def _start(self, settings: dict[str, Any]) -> None:
        self._client = AIOKafkaAdminClient(**settings)
        await self._client.start()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(work, _SECONDS))

    def create(self, topic: str, partitions: int, configs: dict[str, str]) -> None:
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=3, topic_configs=configs)
        self._good(self._do(self._client.create_topics([wanted])))

    def delete(self, topic: str) -> None:
        self._good(self._do(self._client.delete_topics([topic])))

    def partitions(self, topic: str) -> int:
        if topic not in self._do(self._client.list_topics()):
            return 0
        return len(self._do(self._client.describe_topics([topic]))[0]["partitions"])

    def grow(self, topic: str, partitions: int) -> None:
        self._good(self._do(self._client.create_partitions({topic: NewPartitions(partitions)})))

    def alter(self, topic: str, name: str, value: str) -> None:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})
        for answer in self._do(self._client.alter_configs([resource])):
            self._good(answer)

    def config(self, topic: str, name: str) -> str:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: ""})
        (answer,) = self._do(self._client.describe_configs([resource]))
        ((_, _, _, _, entries),) = answer.resources
        return next(str(entry[1]) for entry in entries if entry[0] == name)

    def groups(self) -> set[str]:
        return {group for group, *_ in self._do(self._client.list_consumer_groups())}

    def group(self, group: str) -> tuple[str, int]:
        (answer,) = self._do(self._client.describe_consumer_groups([group]))
        ((_, _, state, _, _, members, *_),) = answer.groups
        return state, len(members)

    def delete_group(self, group: str) -> None:
        raise NotImplementedError(group)

    def delete_records(self, topic: str, partition: int, before: int) -> int:
        there = TopicPartition(topic, partition)
        return int(self._do(self._client.delete_records({there: RecordsToDelete(before)}))[there])

    def close(self) -> None:
        self._do(self._client.close())
        self._loop.close()

    @staticmethod
    def _good(answer: Any) -> None:
        """Throws when any part of it has an error code: the first number of each entry, or the one after the name."""
        found = answer.to_object()
        for entries in found.values():
            for entry in entries if isinstance(entries, list) else ():
                if entry.get("error_code"):
                    raise RuntimeError(str(entry))
