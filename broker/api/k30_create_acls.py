"""CreateAcls (30), versions 1 to 3. Every broker heeds them as soon as it has read them: at once here, elsewhere within
a poll of the metadata (200 ms).
"""

from __future__ import annotations

from typing import Any

from broker.api.acls import acl_of, check_enabled
from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.metadata.acls import create_acls as create
from broker.metadata.image import Acl
from broker.security.access import Need, Operation, ResourceType
from broker.security.filters import check_new
from broker.wire.encoder import Fields

_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER)


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"results": [{"error_code": code} for _ in request.creations]}


@register(key=30, name="CreateAcls", versions=(1, 3), failed=_failed, needs=(_ALTER,))
async def create_acls(context: Context, request: Any, version: int) -> Fields:
    """Those that make sense, in one transaction; each of the others is refused by itself."""
    check_enabled(context, Operation.ALTER)
    good: list[Acl] = []
    results: list[Fields] = []
    for asked in request.creations:
        acl = acl_of(asked)
        try:
            check_new(acl)
        except KafkaError as error:
            results.append({"error_code": error.code, "error_message": error.message})
            continue
        good.append(acl)
        results.append({})
    if good:
        await context.metadata.change(lambda tx: create(tx, good))
    return {"results": results}
