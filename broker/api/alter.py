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
from broker.groups.settings import GroupSettings
from broker.groups.share_settings import EARLIEST, LATEST, duration_ms
from broker.metadata.image import Image
from broker.resource_configs import CLIENT_METRICS, GROUP, MOST, Subscription, of_client_metrics, of_group
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType

TOPIC, BROKER, SUBSCRIPTION, GROUP_TYPE = 2, 4, 16, 32
_MAX_NAME = 255
NEEDS = (
    Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.TOPIC),
    Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.CLUSTER),
    Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.GROUP),
)
"""Of topics, of brokers and client metrics, and of groups."""


def check_once(asked: Any, resources: Iterable[Any]) -> None:
    """InvalidRequest for a resource that stands in the request more than once: which of the two would hold?"""
    name = (asked.resource_type, asked.resource_name)
    if sum((each.resource_type, each.resource_name) == name for each in resources) > 1:
        raise InvalidRequest(f"resource {asked.resource_name[:64]} stands in the request more than once")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whose configs are changed: a topic, a broker, all brokers (one without a name), a group, or a subscription."""

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
    elif asked.resource_type == GROUP_TYPE:
        context.access.check(Operation.ALTER_CONFIGS, ResourceType.GROUP, name)
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
    if asked.resource_type in (SUBSCRIPTION, GROUP_TYPE):
        return _resource(image, GROUP if asked.resource_type == GROUP_TYPE else CLIENT_METRICS, name)
    if asked.resource_type != BROKER:
        raise InvalidRequest(f"configs of resource type {asked.resource_type}; those of 2, 4, 16 and 32 can be changed")
    if name and (not name.isdecimal() or int(name) not in image.brokers):
        raise InvalidRequest(f"there is no broker {name[:32]}")
    own = image.broker_configs.get(int(name) if name else None, {})
    return Target(kind="broker", name=name, known=of_broker, own=own, inherited=lambda key: of_broker(key).default)


def _resource(image: Image, kind: str, name: str) -> Target:
    """A group or a subscription; it need not be there yet."""
    if not 0 < len(name) <= _MAX_NAME or "\0" in name:
        raise InvalidRequest(f"a {kind} has a name of 1 to {_MAX_NAME} characters, and no NUL in it")
    own = image.resource_configs.get((kind, name))
    if own is None and sum(each == kind for each, _ in image.resource_configs) >= MOST[kind]:
        raise InvalidRequest(f"{MOST[kind]} of kind {kind} have configs, which is all there may be: delete some")
    known = of_group if kind == GROUP else of_client_metrics
    return Target(kind=kind, name=name, known=known, own=own or {}, inherited=lambda key: known(key).default)


def checked(target: Target, name: str, value: str | None) -> str:
    """The value, if it may be set there. InvalidConfig otherwise."""
    key = target.known(name)
    if key.read_only:
        raise InvalidConfig(f"{name} is set at the broker's start; it cannot be changed while it runs")
    if value is None:
        raise InvalidConfig(f"{name} needs a value; delete it to go back to the default")
    return key.checked(value)


async def apply(context: Context, target: Target, change: Change, validate_only: bool) -> None:
    """Writes the change, unless it was only to be checked. InvalidConfig where what is set does not go together."""
    after = {key: value for key, value in target.own.items() if key not in change.delete} | change.put
    if target.kind == CLIENT_METRICS:
        Subscription.of(after)
    elif target.kind == GROUP:
        _check_group(context.groups.settings.of_group(after))
    if not validate_only and (change.put or change.delete):
        await context.metadata.alter_configs(target.kind, target.name, change.put, change.delete)


def _check_group(limits: GroupSettings) -> None:
    _check_beat("consumer", limits.consumer_heartbeat_s * 1000, limits.consumer_session_s * 1000)
    _check_beat("share", limits.share.heartbeat_ms, limits.share.session_ms)
    if limits.share.reset not in (LATEST, EARLIEST):
        try:
            duration_ms(limits.share.reset)
        except ValueError as error:
            raise InvalidConfig(f"share.auto.offset.reset {error}") from None


def _check_beat(kind: str, beat_ms: float, session_ms: float) -> None:
    if beat_ms >= session_ms:
        raise InvalidConfig(
            f"{kind}.heartbeat.interval.ms is {beat_ms:g}, and {kind}.session.timeout.ms {session_ms:g}: the first must"
            " be less"
        )


def result(asked: Any, code: int, message: str | None = None) -> dict[str, Any]:
    """One resource's part of the answer."""
    return {
        "error_code": code,
        "error_message": message,
        "resource_type": asked.resource_type,
        "resource_name": asked.resource_name,
    }
