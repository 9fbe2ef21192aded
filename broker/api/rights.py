"""What a principal may do with one thing, as the bits in which answers tell it (`authorized_operations`)."""

from __future__ import annotations

from broker.security.access import Access, Operation, ResourceType

NOT_ASKED = -(2**31)
"""What stands there when the client did not ask."""

_OPERATIONS = {
    ResourceType.TOPIC: (3, 4, 5, 6, 7, 8, 10, 11),
    ResourceType.GROUP: (3, 6, 8, 10, 11),
    ResourceType.CLUSTER: (5, 7, 8, 9, 10, 11, 12),
}
"""What there is to be done with each type of resource, by code."""


def rights(access: Access, resource: ResourceType, name: str) -> int:
    """One bit per operation that is allowed, at the place of its code."""
    return sum(1 << code for code in _OPERATIONS[resource] if access.allows(Operation(code), resource, name))
