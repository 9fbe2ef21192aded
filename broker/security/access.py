"""Who may do what: Kafka's operations and resource types, and the question that every handler asks.

A handler asks `context.access.check(Operation.WRITE, ResourceType.TOPIC, name)` for each thing a request names, before
it looks whether the thing exists: a forbidden topic and a missing one answer alike. What an API may ask is declared
where it is registered (`needs`), and a test makes the matrix of refusals from those declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from broker.errors import (
    ClusterAuthorizationFailed,
    DelegationTokenAuthorizationFailed,
    GroupAuthorizationFailed,
    KafkaError,
    TopicAuthorizationFailed,
    TransactionalIdAuthorizationFailed,
)

ANONYMOUS = "User:ANONYMOUS"
"""Whoever comes through a listener that does not ask who it is."""
CLUSTER_NAME = "kafka-cluster"
"""The name of the one resource of type CLUSTER, as Kafka's tools write it."""


class Operation(IntEnum):
    """Kafka's AclOperation, by its code on the wire."""

    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class ResourceType(IntEnum):
    """Kafka's ResourceType, by its code on the wire."""

    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One right that an API asks for, of each resource of the type that a request names."""

    operation: Operation
    resource: ResourceType
    instead: tuple[Need, ...] = ()
    """Rights of which any one does as well."""
    since: int = 0
    until: int = 2**15 - 1
    """Of which versions; both are included."""


ANY_RIGHT = Need(operation=Operation.ANY, resource=ResourceType.ANY)
"""What Kafka shows to everybody, we show to whoever may do anything at all: a stranger learns nothing."""


class Access(Protocol):
    """What one connection's principal may do; it changes when the ACLs do."""

    @property
    def guards(self) -> bool:
        """Whether there is anything that it may not do."""

    def allows(self, operation: Operation, resource: ResourceType, name: str) -> bool: ...

    def allows_any(self, operation: Operation, resource: ResourceType) -> bool:
        """Whether there is any resource of the type of which it is allowed; ANY and ANY: whether anything is."""

    def check(self, operation: Operation, resource: ResourceType, name: str) -> None:
        """The resource type's own error when it is not allowed."""


class Open:
    """No ACLs are enabled: everybody may do everything."""

    guards = False

    def allows(self, operation: Operation, resource: ResourceType, name: str) -> bool:
        return True

    def allows_any(self, operation: Operation, resource: ResourceType) -> bool:
        return True

    def check(self, operation: Operation, resource: ResourceType, name: str) -> None:
        return None


OPEN = Open()


def check_any_right(access: Access) -> None:
    """ClusterAuthorizationFailed for a principal that no ACL allows anything."""
    if not access.allows_any(Operation.ANY, ResourceType.ANY):
        raise ClusterAuthorizationFailed("nothing is allowed to this principal")


REFUSALS: dict[ResourceType, type[KafkaError]] = {
    ResourceType.TOPIC: TopicAuthorizationFailed,
    ResourceType.GROUP: GroupAuthorizationFailed,
    ResourceType.CLUSTER: ClusterAuthorizationFailed,
    ResourceType.TRANSACTIONAL_ID: TransactionalIdAuthorizationFailed,
    ResourceType.DELEGATION_TOKEN: DelegationTokenAuthorizationFailed,
    ResourceType.USER: ClusterAuthorizationFailed,
}
