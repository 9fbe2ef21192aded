"""DescribeClientQuotas (48), versions 0 and 1: the quotas of users, client ids and addresses that fit the question."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidRequest, KafkaError
from broker.metadata.image import Entity, Image
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_EXACT, _DEFAULT, _ANY = range(3)
_DESCRIBE = Need(operation=Operation.DESCRIBE_CONFIGS, resource=ResourceType.CLUSTER)


@register(key=48, name="DescribeClientQuotas", versions=(0, 1), needs=(_DESCRIBE,))
async def describe_client_quotas(context: Context, request: Any, version: int) -> Fields:
    """Those that have every asked part; with `strict`, those that have no other."""
    try:
        context.access.check(Operation.DESCRIBE_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
        for asked in request.components:
            if asked.entity_type not in ("user", "client-id", "ip") or asked.match_type not in (_EXACT, _DEFAULT, _ANY):
                raise InvalidRequest(f"{asked.entity_type[:32]}: quotas are of user, client-id and ip")
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message, "entries": None}
    image: Image = await context.metadata.refresh()
    entries = [
        {
            "entity": [{"entity_type": kind, "entity_name": name} for kind, name in entity],
            "values": [{"key": key, "value": value} for key, value in values.items()],
        }
        for entity, values in image.quotas.items()
        if _fits(entity, request)
    ]
    return {"entries": entries}


def _fits(entity: Entity, request: Any) -> bool:
    names = dict(entity)
    if request.strict and len(names) != len(request.components):
        return False
    return all(asked.entity_type in names and _matches(asked, names[asked.entity_type]) for asked in request.components)


def _matches(asked: Any, name: str | None) -> bool:
    if asked.match_type == _ANY:
        return True
    return name is None if asked.match_type == _DEFAULT else name == asked.match
