"""DescribeAcls (29), versions 1 to 3: the ACLs that a filter takes, by resource.

SECURITY_DISABLED where the broker was started without `authorizer.class.name`, as in Kafka.
"""

from __future__ import annotations

from typing import Any

from broker.api.acls import check_enabled, filter_of, shown
from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.metadata.image import Image
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_DESCRIBE = Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER)


@register(key=29, name="DescribeAcls", versions=(1, 3), needs=(_DESCRIBE,))
async def describe_acls(context: Context, request: Any, version: int) -> Fields:
    """The newest there are."""
    try:
        check_enabled(context, Operation.DESCRIBE)
        wanted = filter_of(request)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    image: Image = await context.metadata.refresh()
    resources: dict[tuple[int, str, int], list[Fields]] = {}
    for acl in filter(wanted.takes, image.acls):
        resources.setdefault((acl.resource_type, acl.name, acl.pattern), []).append(shown(acl))
    return {
        "resources": [
            {"resource_type": kind, "resource_name": name, "pattern_type": pattern, "acls": acls}
            for (kind, name, pattern), acls in resources.items()
        ]
    }
