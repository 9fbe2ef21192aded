"""What a move that copies data needs beside the reassignment: throttles on both ends, and how far the copy is.

A broker's own settings are read and changed at that broker: Apache Kafka answers for no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import kafka.errors as kafka_errors
from kafka.protocol.admin import DescribeLogDirsRequest, IncrementalAlterConfigsRequest

from agent.collect.errors import CollectError, NotAllowed
from agent.collect.link import Link
from agent.collect.shapes import PartitionId

TOPIC, BROKER = 2, 4
"""Kafka's numbers for what a config belongs to."""
SET, DELETE = 0, 1
AlterConfigs: Any = IncrementalAlterConfigsRequest
LogDirs: Any = DescribeLogDirsRequest
error_for_code: Any = kafka_errors.for_code


def change_configs(link: Link, kind: int, name: str, changes: Mapping[str, str | None]) -> None:
    """Sets settings of one topic or broker, and removes those whose value is None; raises what the cluster says."""
    rows = [(key, DELETE if value is None else SET, value) for key, value in sorted(changes.items())]
    request = AlterConfigs(resources=[(kind, name, rows)], validate_only=False)
    answer = link.send(request, int(name) if kind == BROKER else None)
    for said in answer.responses:
        if said.error_code:
            word = str(error_for_code(said.error_code).__name__).removesuffix("Error")
            text = f"{word} for {', '.join(sorted(changes))} of {'broker' if kind == BROKER else 'topic'} {name}"
            text += f": {said.error_message}" if said.error_message else ""
            raise NotAllowed(f"not allowed: {text}") if "Authorization" in word else CollectError(text)


def replica_sizes(link: Link, brokers: Iterable[int], partition: PartitionId) -> dict[int, int]:
    """Bytes of a partition's log at each broker that answers and has one; a copy under way counts as far as it is."""
    topic, number = partition
    asked = [(broker, LogDirs(topics=[(topic, [number])], min_version=1)) for broker in brokers]
    found: dict[int, int] = {}
    for (broker, _), answer in zip(asked, link.send_all(asked), strict=True):
        for directory in () if isinstance(answer, CollectError) else answer.results:
            for row in directory.topics:
                for each in row.partitions:
                    if (row.name, each.partition_index) == partition and not each.is_future_key:
                        found[broker] = found.get(broker, 0) + each.partition_size
    return found
