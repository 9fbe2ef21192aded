"""What the admin API says about a cluster, as shapes. Kafka's ids are numbers here and become VARCHAR in the views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

PartitionId = tuple[str, int]
"""Topic and partition number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokerNode:
    id: int
    host: str
    port: int
    rack: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionState:
    topic: str
    partition: int
    leader: int
    """-1 where there is none."""
    epoch: int
    replicas: tuple[int, ...]
    """The preferred owner first."""
    isr: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Topology:
    cluster_id: str | None
    controller: int
    brokers: tuple[BrokerNode, ...]
    partitions: tuple[PartitionState, ...]
    """Ordered by topic and partition."""
    internal: frozenset[str]
    """Topics that the cluster keeps for itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRange:
    start: int
    end: int
    """The high watermark: the offset the next record that may be read will get."""
    last_stable: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigEntry:
    value: str | None
    """None where the cluster hides it."""
    source: str
    """DYNAMIC_TOPIC_CONFIG, STATIC_BROKER_CONFIG, DEFAULT_CONFIG, ..."""
    read_only: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    id: str
    client_id: str
    host: str
    partitions: tuple[PartitionId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    id: str
    state: str
    """Stable, Empty, PreparingRebalance, ...; "" where the cluster does not say."""
    protocol: str
    """The assignor in use, or the group's type."""
    coordinator: int
    members: tuple[Member, ...] | None
    """None where the members could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reassignment:
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogDir:
    """One directory of one broker, and whether it can be used."""

    broker: int
    path: str
    total_bytes: int | None
    """None where the cluster does not say (before Kafka 3.3, or an object store behind it)."""
    usable_bytes: int | None
    sizes: Mapping[PartitionId, int]
    """Bytes of each partition's log in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acl:
    principal: str
    host: str
    operation: str
    """READ, WRITE, ALL, ..."""
    permission: str
    """ALLOW or DENY."""
    resource_type: str
    """TOPIC, GROUP, CLUSTER, ..."""
    resource_name: str
    pattern: str
    """LITERAL or PREFIXED."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    entity: str
    """`user=alice`, `client-id=<default>`, several joined by a comma."""
    limits: Mapping[str, float]
    """producer_byte_rate and the like."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What a broker showed in a TLS handshake."""

    broker: int
    address: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """What a cluster holds beside records and groups; None is "could not be read"."""

    log_dirs: tuple[LogDir, ...] = ()
    acls: tuple[Acl, ...] | None = None
    quotas: tuple[Quota, ...] | None = None
    certificates: tuple[Certificate, ...] = ()
