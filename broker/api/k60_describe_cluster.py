"""DescribeCluster (60), versions 0 to 2: the brokers, and which of them is the controller.

From version 2 on dead brokers can be asked for; they are marked as fenced. Controllers have no endpoints.
Deviation: Kafka answers everybody; here a principal that may do nothing at all is refused.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.k03_metadata import cluster_rights
from broker.api.registry import register
from broker.errors import UnsupportedVersion
from broker.metadata.image import Broker, Image
from broker.security.access import ANY_RIGHT, check_any_right
from broker.wire.encoder import Fields

_BROKERS = 1


@register(key=60, name="DescribeCluster", versions=(0, 2), needs=(ANY_RIGHT,))
async def describe_cluster(context: Context, request: Any, version: int) -> Fields:
    """Live brokers, on the client's listener."""
    check_any_right(context.access)
    image: Image = context.metadata.image
    kind = request.endpoint_type if version >= 1 else _BROKERS
    if kind != _BROKERS:
        return {"error_code": UnsupportedVersion.code, "error_message": "only brokers can be described (endpoint 1)"}
    fenced = version >= 2 and request.include_fenced_brokers
    listener = context.connection.listener
    shown = [broker for broker in image.brokers.values() if (broker.alive or fenced) and listener in broker.listeners]
    answer: dict[str, Any] = {
        "endpoint_type": kind,
        "cluster_id": image.cluster_id,
        "controller_id": image.controller,
        "brokers": [_broker(broker, listener) for broker in shown],
    }
    if request.include_cluster_authorized_operations:
        answer["cluster_authorized_operations"] = cluster_rights(context)
    return answer


def _broker(broker: Broker, listener: str) -> Fields:
    host, port = broker.listeners[listener]
    return {
        "broker_id": broker.id,
        "host": host,
        "port": port,
        "rack": broker.zone,
        "is_fenced": not broker.alive,
    }
