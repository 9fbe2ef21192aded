"""What a person could run instead of each step, with Kafka's own tools: many shops never let a tool write."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from agent.plan.state import PartitionId

BOOTSTRAP = "$BOOTSTRAP"
"""Left to the shell: a plan does not carry addresses."""


def reassign(partition: PartitionId, replicas: Sequence[int], throttle: int | None = None) -> tuple[str, ...]:
    """The reassignment file, then the two command lines that run and check it; the check takes the throttle away."""
    topic, number = partition
    moves = [{"topic": topic, "partition": number, "replicas": list(replicas)}]
    document = json.dumps({"version": 1, "partitions": moves}, separators=(",", ":"))
    tool = f"kafka-reassign-partitions.sh --bootstrap-server {BOOTSTRAP} --reassignment-json-file move.json"
    slow = "" if throttle is None else f" --throttle {throttle}"
    return (f"printf %s {shlex.quote(document)} > move.json", f"{tool} --execute{slow}", f"{tool} --verify")


def elect(partition: PartitionId) -> str:
    """The preferred leader of one partition takes over."""
    topic, number = partition
    which = f"--topic {shlex.quote(topic)} --partition {number}"
    return f"kafka-leader-election.sh --bootstrap-server {BOOTSTRAP} --election-type preferred {which}"


def alter_topic(topic: str, name: str, value: str | None) -> tuple[str, ...]:
    """Sets a topic's setting, or removes its override where `value` is None."""
    change = f"--delete-config {name}" if value is None else f"--add-config {name}={value}"
    entity = f"--entity-type topics --entity-name {shlex.quote(topic)}"
    return (f"kafka-configs.sh --bootstrap-server {BOOTSTRAP} --alter {entity} {change}",)
