"""Changing configs: what AlterConfigs and IncrementalAlterConfigs have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.api.context import Context
from broker.api.topics import check_name, configs_of, find_topic
from broker.config_keys import ConfigKey
from broker.configs import of_broker, of_topic
from broker.errors import InvalidConfig, InvalidRequest
from broker.metadata.image import Image
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType

TOPIC, BROKER = 2, 4
NEEDS = (
    Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.TOPIC),
    Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.CLUSTER),
)
"""Of topics, and of brokers."""


def check_once(asked: Any, resources: Iterable[Any]) -> None:
    """InvalidRequest for a resource that stands in the request more than once: which of the two would hold?"""
    name = (asked.resource_type, asked.resource_name)
    if sum((each.resource_type, each.resource_name) == name for each in resources) > 1:
        raise InvalidRequest(f"resource {asked.resource_name[:64]} stands in the request more than once")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whose configs are changed: a topic, one broker, or all brokers (a broker without a name)."""

    kind: str
    name: str
    known: Callable[[str], ConfigKey]
    own: Mapping[str, str]
    """What is set on it now."""
    inherited: Callable[[str], str]
    """What a config's value would be if it were not set here."""


@dataclass(kw_only=True)
class Change:
    """What is set and what is removed."""

    put: dict[str, str] = field(default_factory=dict)
    delete: set[str] = field(default_factory=set)


async def find_target(context: Context, asked: Any) -> Target:
    """UnknownTopicOrPartition, InvalidTopic or InvalidRequest when there is no such resource."""
    name = asked.resource_name
    if asked.resource_type == TOPIC:
        context.access.check(Operation.ALTER_CONFIGS, ResourceType.TOPIC, name)
    else:
        context.access.check(Operation.ALTER_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
    image: Image = await context.metadata.refresh()
    current = configs_of(context)
    if asked.resource_type == TOPIC:
        check_name(name)
        own = find_topic(image, name).configs
        return Target(
            kind="topic", name=name, known=of_topic, own=own, inherited=lambda key: current.topic(key, {}).value
        )
    if asked.resource_type != BROKER:
        raise InvalidRequest(f"configs of resource type {asked.resource_type}; topics (2) and brokers (4) have some")
    if name and (not name.isdecimal() or int(name) not in image.brokers):
        raise InvalidRequest(f"there is no broker {name[:32]}")
    own = image.broker_configs.get(int(name) if name else None, {})
    return Target(kind="broker", name=name, known=of_broker, own=own, inherited=lambda key: of_broker(key).default)


def checked(target: Target, name: str, value: str | None) -> str:
    """The value, if it may be set there. InvalidConfig otherwise."""
    key = target.known(name)
    if key.read_only:
        raise InvalidConfig(f"{name} is set at the broker's start; it cannot be changed while it runs")
    if value is None:
        raise InvalidConfig(f"{name} needs a value; delete it to go back to the default")
    return key.checked(value)


async def apply(context: Context, target: Target, change: Change, validate_only: bool) -> None:
    """Writes the change, unless it was only to be checked."""
    if not validate_only and (change.put or change.delete):
        await context.metadata.alter_configs(target.kind, target.name, change.put, change.delete)


def result(asked: Any, code: int, message: str | None = None) -> dict[str, Any]:
    """One resource's part of the answer."""
    return {
        "error_code": code,
        "error_message": message,
        "resource_type": asked.resource_type,
        "resource_name": asked.resource_name,
    }
