"""InitProducerId (22), versions 0 to 5: a fresh id for an idempotent producer.

Deviation: there are no transactions, so a transactional id is refused. A producer that asks again gets a new id with
epoch 0, as Kafka gives it.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import UnsupportedVersion
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=22,
    name="InitProducerId",
    versions=(0, 5),
    failed=lambda _request, _version, code: {"error_code": code, "producer_epoch": -1},
    needs=(
        Need(
            operation=Operation.IDEMPOTENT_WRITE,
            resource=ResourceType.CLUSTER,
            instead=(Need(operation=Operation.WRITE, resource=ResourceType.TOPIC),),
        ),
    ),
)
async def init_producer_id(context: Context, request: Any, version: int) -> Fields:
    """An id nobody else ever gets."""
    if request.transactional_id is not None:
        return {"error_code": UnsupportedVersion.code, "producer_epoch": -1}
    if not context.access.allows_any(Operation.WRITE, ResourceType.TOPIC):
        context.access.check(Operation.IDEMPOTENT_WRITE, ResourceType.CLUSTER, CLUSTER_NAME)
    return {"producer_id": await context.metadata.allocate_producer_ids(1), "producer_epoch": 0}
