"""DescribeConfigs (32), versions 1 to 4: value, where it comes from, and what it means; of topics, brokers, groups, and
client metrics subscriptions.

Synonyms are told in the order in which they hold: the topic's own value, then what is set for this broker, for all
brokers, on the command line, and the default. No value is a secret, so none is hidden.

A broker's own settings (id, listeners, zone) are asked of that broker; another one answers them from the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import check_name, configs_of, find_topic
from broker.configs import BROKER_CONFIGS, TOPIC_CONFIGS, Configs, Source, Value
from broker.errors import InvalidRequest, KafkaError
from broker.metadata.image import Image
from broker.resource_configs import CLIENT_METRICS, CLIENT_METRICS_CONFIGS, GROUP, GROUP_CONFIGS
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """One config: what holds, and everything that is set."""

    value: Value
    synonyms: tuple[Value, ...]


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"results": [_result(asked, code, None) for asked in request.resources]}


@register(
    key=32,
    name="DescribeConfigs",
    versions=(1, 4),
    failed=_failed,
    needs=(
        Need(operation=Operation.DESCRIBE_CONFIGS, resource=ResourceType.TOPIC),
        Need(operation=Operation.DESCRIBE_CONFIGS, resource=ResourceType.CLUSTER),
        Need(operation=Operation.DESCRIBE_CONFIGS, resource=ResourceType.GROUP),
    ),
)
async def describe_configs(context: Context, request: Any, version: int) -> Fields:
    """Each resource by itself."""
    results = []
    for asked in request.resources:
        try:
            shown = await _values(context, asked)
        except KafkaError as error:
            results.append(_result(asked, error.code, error.message))
            continue
        wanted = asked.configuration_keys
        documented = getattr(request, "include_documentation", False)
        configs = [
            _config(each, documented, request.include_synonyms)
            for each in shown
            if not wanted or each.value.key.name in wanted
        ]
        results.append(_result(asked, 0, None) | {"configs": configs})
    return {"results": results}


async def _values(context: Context, asked: Any) -> Iterable[_Shown]:
    access = context.access
    match asked.resource_type:
        case 2:
            access.check(Operation.DESCRIBE_CONFIGS, ResourceType.TOPIC, asked.resource_name)
            return await _of_topic(context, asked.resource_name)
        case 4:
            access.check(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
            return _of_broker(context, asked.resource_name)
        case 8:
            access.check(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
            return ()
        case 16:
            access.check(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
            return _of_resource(context, CLIENT_METRICS, asked.resource_name)
        case 32:
            access.check(Operation.DESCRIBE_CONFIGS, ResourceType.GROUP, asked.resource_name)
            return _of_resource(context, GROUP, asked.resource_name)
        case other:
            raise InvalidRequest(f"configs of resource type {other} cannot be described; those of 2, 4, 16 and 32 can")


def _of_resource(context: Context, kind: str, name: str) -> Iterable[_Shown]:
    """What was set, and else the defaults, whether there is such a resource or not: as in Kafka."""
    if not name:
        raise InvalidRequest(f"configs of a {kind} without a name")
    image: Image = context.metadata.image
    own, current = image.resource_configs.get((kind, name), {}), configs_of(context)
    keys, source = (GROUP_CONFIGS, Source.GROUP) if kind == GROUP else (CLIENT_METRICS_CONFIGS, Source.CLIENT_METRICS)
    shown = []
    for key in keys.values():
        values = current.resource(key, own, source)
        shown.append(_Shown(value=replace(values[0], key=key), synonyms=values))
    return shown


async def _of_topic(context: Context, name: str) -> Iterable[_Shown]:
    check_name(name)
    image: Image = context.metadata.image
    if image.topic(name) is None:
        image = await context.metadata.refresh()
    topic, current = find_topic(image, name), configs_of(context)
    return [
        _Shown(value=current.topic(config, topic.configs), synonyms=current.synonyms(key, topic.configs))
        for config, key in sorted(TOPIC_CONFIGS.items())
    ]


def _of_broker(context: Context, name: str) -> Iterable[_Shown]:
    """An empty name means the defaults of all brokers, of which only what was set is shown."""
    image: Image = context.metadata.image
    current = configs_of(context)
    if not name:
        everyone = image.broker_configs.get(None, {})
        set_for_all = [
            Value(key=BROKER_CONFIGS[config], value=value, source=Source.DYNAMIC_DEFAULT_BROKER)
            for config, value in sorted(everyone.items())
            if config in BROKER_CONFIGS
        ]
        return [_Shown(value=value, synonyms=(value,)) for value in set_for_all]
    if not name.isdecimal() or int(name) not in image.brokers:
        raise InvalidRequest(f"there is no broker {name[:32]}")
    broker = image.brokers[int(name)]
    own = {
        "broker.id": name,
        "node.id": name,
        "broker.rack": broker.zone or "",
        "streampilot.http.address": broker.http,
        "advertised.listeners": ",".join(f"{each}://{host}:{port}" for each, (host, port) in broker.listeners.items()),
    }
    static = {**(context.config.configs if broker.id == context.config.broker_id else {}), **own}
    there = Configs(broker_id=broker.id, static=static, dynamic=current.dynamic)
    return [
        _Shown(value=there.broker(config), synonyms=there.synonyms(key))
        for config, key in sorted(BROKER_CONFIGS.items())
    ]


def _config(shown: _Shown, documented: bool, with_synonyms: bool) -> Fields:
    value = shown.value
    synonyms = [{"name": s.key.name, "value": s.value, "source": int(s.source)} for s in shown.synonyms]
    return {
        "name": value.key.name,
        "value": value.value,
        "read_only": value.key.read_only,
        "config_source": int(value.source),
        "synonyms": synonyms if with_synonyms else (),
        "config_type": int(value.key.kind),
        "documentation": value.key.doc if documented else None,
    }


def _result(asked: Any, code: int, message: str | None) -> dict[str, Any]:
    return {
        "error_code": code,
        "error_message": message,
        "resource_type": asked.resource_type,
        "resource_name": asked.resource_name,
        "configs": [],
    }
