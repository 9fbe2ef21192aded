"""DeleteAcls (31), versions 1 to 3: what the filters take goes, and is told, all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from broker.api.acls import check_enabled, filter_of, shown
from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.metadata.acls import delete_acls as delete
from broker.metadata.image import Acl
from broker.security.access import Need, Operation, ResourceType
from broker.security.filters import AclFilter
from broker.wire.encoder import Fields

_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER)


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"filter_results": [{"error_code": code} for _ in request.filters]}


@register(key=31, name="DeleteAcls", versions=(1, 3), failed=_failed, needs=(_ALTER,))
async def delete_acls(context: Context, request: Any, version: int) -> Fields:
    """Each filter by itself; an ACL that two of them take is told twice."""
    check_enabled(context, Operation.ALTER)
    filters = [_read(asked) for asked in request.filters]
    good = [each for each in filters if isinstance(each, AclFilter)]
    found = iter(await context.metadata.change(lambda tx: delete(tx, [each.takes for each in good])))
    return {
        "filter_results": [
            _taken(next(found))
            if isinstance(each, AclFilter)
            else {"error_code": each.code, "error_message": each.message}
            for each in filters
        ]
    }


def _read(asked: Any) -> AclFilter | KafkaError:
    try:
        return filter_of(asked)
    except KafkaError as error:
        return error


def _taken(acls: Sequence[Acl]) -> Fields:
    matching = [
        {"resource_type": acl.resource_type, "resource_name": acl.name, "pattern_type": acl.pattern, **shown(acl)}
        for acl in acls
    ]
    return {"matching_acls": matching}
