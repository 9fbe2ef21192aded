"""AlterConfigs (33), versions 0 to 2: replaces everything that is set on a topic or broker. Old tools still send it."""

from __future__ import annotations

from typing import Any

from broker.api.alter import NEEDS, Change, apply, check_once, checked, find_target, result
from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, KafkaError
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"responses": [result(asked, code) for asked in request.resources]}


@register(key=33, name="AlterConfigs", versions=(0, 2), failed=_failed, needs=NEEDS)
async def alter_configs(context: Context, request: Any, version: int) -> Fields:
    """Each resource by itself, all its configs or none."""
    responses = []
    for asked in request.resources:
        try:
            check_once(asked, request.resources)
            target = await find_target(context, asked)
            put = {config.name: checked(target, config.name, config.value) for config in asked.configs}
            await apply(context, target, Change(put=put, delete=set(target.own) - set(put)), request.validate_only)
            responses.append(result(asked, NONE))
        except KafkaError as error:
            responses.append(result(asked, error.code, error.message))
    return {"responses": responses}
