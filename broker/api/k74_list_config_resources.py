"""ListConfigResources (74), versions 0 and 1: what has configs of its own.

Version 0 knows client metrics subscriptions only; version 1 topics, brokers and groups too. Groups are those that were
given a config, topics those that the asker may describe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import UnsupportedVersion
from broker.metadata.image import Image
from broker.resource_configs import CLIENT_METRICS, GROUP
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_TOPIC, _BROKER, _LOGGER, _CLIENT_METRICS, _GROUP = 2, 4, 8, 16, 32
_ALL = (_TOPIC, _BROKER, _LOGGER, _CLIENT_METRICS, _GROUP)


@register(
    key=74,
    name="ListConfigResources",
    versions=(0, 1),
    needs=(Need(operation=Operation.DESCRIBE_CONFIGS, resource=ResourceType.CLUSTER),),
)
async def list_config_resources(context: Context, request: Any, version: int) -> Fields:
    """By type, and by name."""
    context.access.check(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
    wanted = (_CLIENT_METRICS,) if version == 0 else tuple(request.resource_types) or _ALL
    if strange := [kind for kind in wanted if kind not in _ALL]:
        raise UnsupportedVersion(f"resource type {strange[0]} has no configs; {_ALL} have")
    image: Image = context.metadata.image
    found = [(kind, name) for kind in dict.fromkeys(wanted) for name in sorted(_names(context, image, kind))]
    return {"config_resources": [{"resource_type": kind, "resource_name": name} for kind, name in found]}


def _names(context: Context, image: Image, kind: int) -> Iterator[str]:
    if kind == _TOPIC:
        access = context.access
        yield from (name for name in image.topics if access.allows(Operation.DESCRIBE, ResourceType.TOPIC, name))
    elif kind in (_BROKER, _LOGGER):
        yield from (str(broker.id) for broker in image.alive())
    else:
        own = CLIENT_METRICS if kind == _CLIENT_METRICS else GROUP
        yield from (name for each, name in image.resource_configs if each == own)
