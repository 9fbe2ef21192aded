"""What the three ACL APIs have in common: rules and filters as the wire has them, and who may see or change them."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.errors import SecurityDisabled
from broker.metadata.image import Acl
from broker.security.access import CLUSTER_NAME, OPEN, Operation, ResourceType
from broker.security.filters import AclFilter
from broker.security.rules import LITERAL
from broker.wire.encoder import Fields


def check_enabled(context: Context, operation: Operation) -> None:
    """ClusterAuthorizationFailed for whom may not; SecurityDisabled where ACLs would not be heeded."""
    context.access.check(operation, ResourceType.CLUSTER, CLUSTER_NAME)
    if context.access is OPEN:
        raise SecurityDisabled("No Authorizer is configured: start brokers with authorizer.class.name")


def acl_of(asked: Any) -> Acl:
    """What CreateAcls asks for; version 0 knows literal names only."""
    return Acl(
        resource_type=asked.resource_type,
        name=asked.resource_name,
        pattern=getattr(asked, "resource_pattern_type", LITERAL),
        principal=asked.principal,
        host=asked.host,
        operation=asked.operation,
        permission=asked.permission_type,
    )


def filter_of(asked: Any) -> AclFilter:
    """What DescribeAcls and DeleteAcls ask for."""
    found = AclFilter(
        resource_type=asked.resource_type_filter,
        name=asked.resource_name_filter,
        pattern=getattr(asked, "pattern_type_filter", LITERAL),
        principal=asked.principal_filter,
        host=asked.host_filter,
        operation=asked.operation,
        permission=asked.permission_type,
    )
    found.check()
    return found


def shown(acl: Acl) -> Fields:
    """An ACL without its resource."""
    return {
        "principal": acl.principal,
        "host": acl.host,
        "operation": acl.operation,
        "permission_type": acl.permission,
    }
