"""What several APIs need to know about topics: whether a name is legal, and which values hold for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from broker.api.context import Context
from broker.configs import Configs
from broker.errors import InvalidTopic, UnknownTopicId, UnknownTopicOrPartition
from broker.metadata.image import Image, Topic
from broker.security.access import Operation, ResourceType
from broker.wire.produce import NodeEndpoint

MAX_NAME = 249
_LEGAL = re.compile(r"[a-zA-Z0-9._-]+")


def check_name(name: str) -> None:
    """Kafka's rule (org.apache.kafka.common.internals.Topic); InvalidTopic that says what is wrong."""
    if not name:
        raise InvalidTopic("Topic name is invalid: the empty string is not allowed")
    if name in (".", ".."):
        raise InvalidTopic("Topic name is invalid: '.' or '..' is not allowed")
    if len(name) > MAX_NAME:
        raise InvalidTopic(f"Topic name is invalid: the length of {name[:32]}... is longer than {MAX_NAME}")
    if not _LEGAL.fullmatch(name):
        raise InvalidTopic("Topic name is invalid: it contains one or more characters other than a-z A-Z 0-9 . _ -")


def check_collision(name: str, image: Image) -> None:
    """Names that differ only in '.' and '_' share a metric name, and so cannot both exist, as in Kafka."""
    if "." not in name and "_" not in name:
        return
    folded = name.replace(".", "_")
    for other in image.topics:
        if other != name and other.replace(".", "_") == folded:
            raise InvalidTopic(f"Topic '{name}' collides with existing topics: {other}")


def find_topic(image: Image, name_or_id: str | UUID) -> Topic:
    """UnknownTopicOrPartition for a name, UnknownTopicId for an id that nobody has."""
    topic = image.topic(name_or_id)
    if topic is not None:
        return topic
    if isinstance(name_or_id, UUID):
        raise UnknownTopicId(f"no topic has the id {name_or_id}")
    raise UnknownTopicOrPartition(f"no topic is called {name_or_id}")


def allowed_topic(context: Context, image: Image, key: str | UUID, operation: Operation) -> Topic:
    """The topic, if the asker may do that with it. A name is refused alike whether it is missing or forbidden; an id
    of a topic whose name the asker may not know is an id that nobody has.
    """
    access = context.access
    if isinstance(key, str):
        access.check(operation, ResourceType.TOPIC, key)
        return find_topic(image, key)
    topic = find_topic(image, key)
    if not access.allows(Operation.DESCRIBE, ResourceType.TOPIC, topic.name):
        raise UnknownTopicId(f"no topic has the id {key}")
    access.check(operation, ResourceType.TOPIC, topic.name)
    return topic


def configs_of(context: Context) -> Configs:
    """The values that hold at this broker now."""
    image: Image = context.metadata.image
    return Configs(broker_id=context.config.broker_id, static=context.config.configs, dynamic=image.broker_configs)


def broker_flag(context: Context, name: str) -> bool:
    return configs_of(context).broker(name).value.lower() == "true"


def broker_number(context: Context, name: str) -> int:
    return int(configs_of(context).broker(name).value)


def checked_configs(given: Mapping[str, str | None], current: Configs) -> dict[str, str]:
    """A new topic's configs, each known and within its bounds; null means the default. InvalidConfig otherwise."""
    return {name: current.topic(name, {}).key.checked(value) for name, value in given.items() if value is not None}


def endpoint_on(image: Image, broker_id: int, listener: str) -> NodeEndpoint | None:
    """Where clients of that listener reach a broker; None when it is not alive or does not have the listener."""
    broker = image.brokers.get(broker_id)
    if broker is None or not broker.alive or listener not in broker.listeners:
        return None
    host, port = broker.listeners[listener]
    return NodeEndpoint(broker_id=broker_id, host=host, port=port, rack=broker.zone)


def endpoints_on(image: Image, broker_ids: set[int], listener: str) -> tuple[NodeEndpoint, ...]:
    """The endpoints of those of the brokers that can be reached."""
    found = (endpoint_on(image, broker_id, listener) for broker_id in sorted(broker_ids))
    return tuple(endpoint for endpoint in found if endpoint is not None)
