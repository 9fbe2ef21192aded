"""What the admin API says about a cluster, as shapes. Kafka's ids are numbers here and become VARCHAR in the views."""

from __future__ import annotations

from dataclasses import dataclass

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
