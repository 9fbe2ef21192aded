"""What a move that copies data needs beside the reassignment: throttles on both ends, and how far the copy is.

A broker's own settings are read and changed at that broker: Apache Kafka answers for no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import kafka.errors as kafka_errors
from kafka.protocol.admin import IncrementalAlterConfigsRequest

from agent.collect import inventory
from agent.collect.errors import CollectError, NotAllowed
from agent.collect.link import Link
from agent.collect.shapes import PartitionId

TOPIC, BROKER = 2, 4
"""Kafka's numbers for what a config belongs to."""
SET, DELETE = 0, 1
AlterConfigs: Any = IncrementalAlterConfigsRequest
error_for_code: Any = kafka_errors.for_code


def change_broker_configs(link: Link, broker: int, changes: Mapping[str, str | None]) -> None:
    """Sets settings of one broker, and removes those whose value is None; raises what the cluster says."""
    rows = [(key, DELETE if value is None else SET, value) for key, value in sorted(changes.items())]
    answer = link.send(AlterConfigs(resources=[(BROKER, str(broker), rows)], validate_only=False), broker)
    for said in answer.responses:
        if said.error_code:
            word = str(error_for_code(said.error_code).__name__).removesuffix("Error")
            text = f"{word} for {', '.join(sorted(changes))} of broker {broker}"
            text += f": {said.error_message}" if said.error_message else ""
            raise NotAllowed(f"not allowed: {text}") if "Authorization" in word else CollectError(text)


def replica_sizes(link: Link, brokers: Iterable[int], partition: PartitionId) -> dict[int, int]:
    """Bytes of a partition's log at each broker that answers and has one; a copy under way counts as far as it is."""
    topic, number = partition
    found: dict[int, int] = {}
    for each in inventory.log_dirs(link, brokers, _answered, [(topic, [number])]):
        if partition in each.sizes:
            found[each.broker] = found.get(each.broker, 0) + each.sizes[partition]
    return found


def _answered(_: str, answer: Any) -> bool:
    return not isinstance(answer, CollectError)
