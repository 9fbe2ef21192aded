"""Which ACLs a filter takes (DescribeAcls, DeleteAcls), and whether one may be created: Kafka's rules for both."""

from __future__ import annotations

from dataclasses import dataclass

from broker.errors import InvalidRequest
from broker.metadata.image import Acl
from broker.security.access import CLUSTER_NAME, Operation, ResourceType
from broker.security.rules import ALLOW, ANY_NAME, DENY, LITERAL, PREFIXED

ANY, MATCH = 1, 2
MAX_NAME = 1024
"""Of a resource, principal or host in an ACL (law 12)."""


@dataclass(frozen=True, kw_only=True)
class AclFilter:
    """What to take; ANY (1) and None take everything. The pattern MATCH takes whatever applies to the name."""

    resource_type: int
    name: str | None
    pattern: int
    principal: str | None
    host: str | None
    operation: int
    permission: int

    def check(self) -> None:
        """InvalidRequest for what Kafka has no name for."""
        known = self.resource_type in _TYPES and self.operation in _OPERATIONS
        if not known or not ANY <= self.pattern <= PREFIXED or not ANY <= self.permission <= ALLOW:
            raise InvalidRequest(
                f"an ACL filter of resource type {self.resource_type}, pattern {self.pattern}, operation"
                f" {self.operation}, permission {self.permission}: one of them is not known here"
            )

    def takes(self, acl: Acl) -> bool:
        return (
            self.resource_type in (ANY, acl.resource_type)
            and self._takes_name(acl)
            and self.principal in (None, acl.principal)
            and self.host in (None, acl.host)
            and self.operation in (ANY, acl.operation)
            and self.permission in (ANY, acl.permission)
        )

    def _takes_name(self, acl: Acl) -> bool:
        if self.pattern not in (ANY, MATCH, acl.pattern):
            return False
        if self.name is None or self.name == acl.name:
            return True
        if self.pattern != MATCH:
            return False
        return acl.name == ANY_NAME if acl.pattern == LITERAL else self.name.startswith(acl.name)


_TYPES = frozenset(map(int, ResourceType))
_OPERATIONS = frozenset(map(int, Operation))


def check_new(acl: Acl) -> None:
    """InvalidRequest for an ACL that can never apply, or that says too much."""
    if acl.resource_type not in _TYPES or acl.resource_type == ResourceType.ANY:
        raise InvalidRequest(f"resource type {acl.resource_type} cannot have ACLs")
    if acl.pattern not in (LITERAL, PREFIXED):
        raise InvalidRequest(f"pattern type {acl.pattern}: give 3 (literal) or 4 (prefixed)")
    if acl.operation not in _OPERATIONS or acl.operation == Operation.ANY:
        raise InvalidRequest(f"operation {acl.operation} cannot be allowed or denied")
    if acl.permission not in (DENY, ALLOW):
        raise InvalidRequest(f"permission {acl.permission}: give 2 (deny) or 3 (allow)")
    if not acl.name or not acl.host:
        raise InvalidRequest("an ACL without a resource name or a host: write * for any")
    if max(map(len, (acl.name, acl.principal, acl.host))) > MAX_NAME:
        raise InvalidRequest(f"an ACL with a name of more than {MAX_NAME} characters")
    kind, _, who = acl.principal.partition(":")
    if not kind or not who:
        raise InvalidRequest(f"principal {acl.principal[:64]}: write User:NAME")
    if acl.resource_type == ResourceType.CLUSTER and acl.name not in (CLUSTER_NAME, ANY_NAME):
        raise InvalidRequest(f"the cluster is called {CLUSTER_NAME}, not {acl.name[:64]}")
