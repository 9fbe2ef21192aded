"""FindCoordinator (10), versions 0 to 6: which broker coordinates a group, or a transactional id; of many from 4 on.

A share group has a coordinator as any other group. Deviation: Kafka's share coordinator, which brokers ask, is not
there; key type 2 is refused with INVALID_REQUEST.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import CoordinatorNotAvailable, InvalidRequest, KafkaError
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_GROUP, _TRANSACTION = 0, 1
_NOBODY: Fields = {"node_id": -1, "host": "", "port": -1}


@register(
    key=10,
    name="FindCoordinator",
    versions=(0, 6),
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.GROUP),),
)
async def find_coordinator(context: Context, request: Any, version: int) -> Fields:
    """The owner of the group's partition, at the address of the listener the client came through."""
    kind = getattr(request, "key_type", _GROUP)
    keys = [request.key] if version < 4 else request.coordinator_keys
    resource = ResourceType.TRANSACTIONAL_ID if kind == _TRANSACTION else ResourceType.GROUP
    if any(context.access.allows(Operation.DESCRIBE, resource, key) for key in keys):
        await (context.transactions if kind == _TRANSACTION else context.groups).make_home()
    if version < 4:
        return _coordinator(context, request.key, kind)
    return {"coordinators": [_coordinator(context, key, kind) for key in request.coordinator_keys]}


def _coordinator(context: Context, key: str, kind: int) -> Fields:
    try:
        if kind == _TRANSACTION:
            context.access.check(Operation.DESCRIBE, ResourceType.TRANSACTIONAL_ID, key)
            return {"key": key, **_address(context, context.transactions.home_of(key).owner)}
        if kind != _GROUP:
            raise InvalidRequest("only groups and transactional ids have coordinators here")
        context.access.check(Operation.DESCRIBE, ResourceType.GROUP, key)
        return {"key": key, **_address(context, context.groups.home_of(key).owner)}
    except KafkaError as error:
        return {"key": key, "error_code": error.code, "error_message": error.message, **_NOBODY}


def _address(context: Context, broker_id: int) -> Fields:
    image: Image = context.metadata.image
    broker = image.brokers.get(broker_id)
    address = broker.listeners.get(context.connection.listener) if broker is not None and broker.alive else None
    if address is None:
        raise CoordinatorNotAvailable(f"broker {broker_id} is not reachable through {context.connection.listener}")
    return {"node_id": broker_id, "host": address[0], "port": address[1]}
