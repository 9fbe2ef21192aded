"""IncrementalAlterConfigs (44), versions 0 and 1: sets, deletes, appends to or subtracts from single configs."""

from __future__ import annotations

from typing import Any

from broker.api.alter import NEEDS, Change, Target, apply, check_once, checked, find_target, result
from broker.api.context import Context
from broker.api.registry import register
from broker.config_keys import Kind
from broker.errors import NONE, InvalidConfig, InvalidRequest, KafkaError
from broker.wire.encoder import Fields

_SET, _DELETE, _APPEND, _SUBTRACT = range(4)


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"responses": [result(asked, code) for asked in request.resources]}


@register(key=44, name="IncrementalAlterConfigs", versions=(0, 1), failed=_failed, needs=NEEDS)
async def incremental_alter_configs(context: Context, request: Any, version: int) -> Fields:
    """Each resource by itself, all its changes or none."""
    responses = []
    for asked in request.resources:
        try:
            check_once(asked, request.resources)
            target = await find_target(context, asked)
            await apply(context, target, _change(target, asked.configs), request.validate_only)
            responses.append(result(asked, NONE))
        except KafkaError as error:
            responses.append(result(asked, error.code, error.message))
    return {"responses": responses}


def _change(target: Target, configs: Any) -> Change:
    names = [config.name for config in configs]
    if len(set(names)) != len(names):
        raise InvalidRequest("a config stands twice in the request")
    change = Change()
    for config in configs:
        if config.config_operation == _DELETE:
            target.known(config.name)
            change.delete.add(config.name)
        elif config.config_operation == _SET:
            change.put[config.name] = checked(target, config.name, config.value)
        else:
            change.put[config.name] = checked(target, config.name, _edited(target, config))
    return change


def _edited(target: Target, config: Any) -> str:
    """A list with items added or taken away."""
    if config.config_operation not in (_APPEND, _SUBTRACT):
        raise InvalidRequest(f"operation {config.config_operation} on {config.name}; 0 to 3 exist")
    if target.known(config.name).kind is not Kind.LIST:
        raise InvalidConfig(f"{config.name} is no list: it can be set, not appended to or subtracted from")
    now = target.own.get(config.name, target.inherited(config.name))
    items = [item for item in now.split(",") if item]
    given = [item.strip() for item in (config.value or "").split(",") if item.strip()]
    if config.config_operation == _APPEND:
        return ",".join(dict.fromkeys([*items, *given]))
    return ",".join(item for item in items if item not in given)
