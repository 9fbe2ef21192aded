"""AlterClientQuotas (49), versions 0 and 1: sets and removes quotas, each entity all or nothing.

Every broker heeds them for itself within a poll of the metadata (200 ms), as in Kafka: a client that writes to three
brokers may use three times its quota.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidRequest, KafkaError
from broker.metadata.image import Entity
from broker.metadata.quotas import Change, alter_quotas
from broker.quotas.quotas import CONNECTIONS, OF_CLIENTS
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_ALTER = Need(operation=Operation.ALTER_CONFIGS, resource=ResourceType.CLUSTER)
_MAX_NAME = 255


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"entries": [_result(entry, code) for entry in request.entries]}


@register(key=49, name="AlterClientQuotas", versions=(0, 1), failed=_failed, needs=(_ALTER,))
async def alter_client_quotas(context: Context, request: Any, version: int) -> Fields:
    """Everything that is not refused, in one transaction."""
    context.access.check(Operation.ALTER_CONFIGS, ResourceType.CLUSTER, CLUSTER_NAME)
    changes: list[Change] = []
    results = []
    for entry in request.entries:
        try:
            changes += _changes(entry)
            results.append(_result(entry, 0))
        except KafkaError as error:
            results.append(_result(entry, error.code, error.message))
    if changes and not request.validate_only:
        await context.metadata.change(lambda tx: alter_quotas(tx, changes))
    return {"entries": results}


def _changes(entry: Any) -> list[Change]:
    entity = _entity(entry)
    allowed = (CONNECTIONS,) if dict(entity).keys() == {"ip"} else OF_CLIENTS
    changes: list[Change] = []
    for op in entry.ops:
        if op.key not in allowed:
            raise InvalidRequest(f"quota {op.key[:64]}: here are {', '.join(allowed)}")
        if not op.remove and not (math.isfinite(op.value) and op.value > 0):
            raise InvalidRequest(f"quota {op.key} is {op.value:g}; give more than 0, or remove it")
        changes.append((entity, op.key, None if op.remove else float(op.value)))
    return changes


def _entity(entry: Any) -> Entity:
    parts = {part.entity_type: part.entity_name for part in entry.entity}
    kinds = parts.keys()
    if len(parts) != len(entry.entity) or not (kinds == {"ip"} or (kinds and kinds <= {"user", "client-id"})):
        raise InvalidRequest("a quota is of a user, a client-id, both, or an ip")
    for kind, name in parts.items():
        if name is not None and not 0 < len(name) <= _MAX_NAME:
            raise InvalidRequest(f"a {kind} has 1 to {_MAX_NAME} characters; null is the default")
    if parts.get("ip") is not None:
        try:
            ipaddress.ip_address(parts["ip"])
        except ValueError:
            raise InvalidRequest(f"{parts['ip'][:64]} is no IP address") from None
    return tuple(sorted(parts.items()))


def _result(entry: Any, code: int, message: str | None = None) -> Fields:
    entity = [{"entity_type": part.entity_type, "entity_name": part.entity_name} for part in entry.entity]
    return {"error_code": code, "error_message": message, "entity": entity}
