"""The cluster as every broker sees it: one frozen picture, replaced as a whole whenever the truth in SQL changes.

Readers take `metadata.image` once and use it for a whole request, so that an answer never mixes two versions. A picture
may be stale by one poll (200 ms); nothing that must be safe rests on it: every transaction checks again what it relies
on (law 3, 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

NOBODY = -1
"""The owner of a partition that no broker leads."""

PEER_LISTENER = "__peers"
"""The name under which a registration carries the inter-broker listener; no listener for clients may have it."""

CONSUMER_OFFSETS = "__consumer_offsets"
"""The internal topic whose partitions' owners are the group coordinators; it carries no records."""

TRANSACTION_STATE = "__transaction_state"
"""The same for the coordinators of transactions."""

INTERNAL = frozenset({CONSUMER_OFFSETS, TRANSACTION_STATE})
"""What clients may neither write nor create."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    id: int
    epoch: int
    """Given by the metadata store at each registration; it never repeats."""
    listeners: Mapping[str, tuple[str, int]]
    """Client listener's name to the advertised host and port."""
    peer_address: tuple[str, int] | None = None
    """Where other brokers reach it; clients are never told."""
    http: str
    zone: str | None
    alive: bool
    cordoned: bool
    """Gets no new partitions."""
    spot: bool
    version: str
    host_id: str
    """The boot id of the machine: brokers that share it can reach each other's `file:///` WAL."""
    wal_url: str
    started_at_ms: int
    registered_at_ms: int
    departed: bool
    """Said goodbye and left nothing behind: it is not missed while it is not alive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    uid: int
    topic_id: UUID
    topic: str
    index: int
    owner: int
    """The leader, or NOBODY."""
    epoch: int
    """The leader epoch."""
    replicas: tuple[int, ...]
    """The preferred owner first. An owner that is none of the stored replicas (after a failover) stands last: clients
    and tools expect a leader among them.
    """
    isr: tuple[int, ...]
    target: tuple[int, ...] | None
    """Where a reassignment under way is going."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    id: UUID
    name: str
    partitions: tuple[Partition, ...]
    configs: Mapping[str, str]
    """Only what was set on the topic."""
    internal: bool


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Who replays a dead broker's WAL (law 5)."""

    broker: int
    broker_epoch: int
    recoverer: int
    epoch: int
    """Grows each time the duty changes hands; every recovery commit is conditional on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acl:
    """One rule of who may do what; numbers and names as Kafka has them on the wire."""

    resource_type: int
    name: str
    pattern: int
    """3: the name itself, or every name where it is `*`; 4: every name that begins so."""
    principal: str
    """Such as `User:alice`; `User:*` is everybody."""
    host: str
    """A client's address; `*` is any."""
    operation: int
    permission: int
    """2: deny; 3: allow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScramCredential:
    """What is kept of a password: enough to recognize who knows it. No `repr` shows it."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


Entity = tuple[tuple[str, str | None], ...]
"""Whose quota: (`user`, `client-id` or `ip`; name, or None for whoever has none), in that word's order."""


@dataclass(frozen=True, kw_only=True)
class Image:
    version: int
    cluster_id: str
    controller: int
    brokers: Mapping[int, Broker]
    topics: Mapping[str, Topic]
    by_id: Mapping[UUID, Topic]
    broker_configs: Mapping[int | None, Mapping[str, str]]
    """Under None, the defaults of the whole cluster."""
    resource_configs: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """By kind and name, of what is neither topic nor broker; the very same object while no config has changed."""
    recoveries: Mapping[int, Recovery] = field(default_factory=lambda: MappingProxyType({}))
    acls: tuple[Acl, ...] = ()
    """The very same object while no ACL has changed: what was decided by them stays good."""
    scram: Mapping[tuple[str, int], ScramCredential] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """By user and mechanism (1: SCRAM-SHA-256, 2: SCRAM-SHA-512)."""
    quotas: Mapping[Entity, Mapping[str, float]] = field(default_factory=lambda: MappingProxyType({}))

    def topic(self, name_or_id: str | UUID) -> Topic | None:
        return self.topics.get(name_or_id) if isinstance(name_or_id, str) else self.by_id.get(name_or_id)

    def partition(self, name_or_id: str | UUID, index: int) -> Partition | None:
        topic = self.topic(name_or_id)
        return topic.partitions[index] if topic is not None and 0 <= index < len(topic.partitions) else None

    def owned_by(self, broker: int) -> int:
        """How many partitions it leads."""
        return sum(each.owner == broker for topic in self.topics.values() for each in topic.partitions)

    def alive(self) -> list[Broker]:
        """Live brokers by id."""
        return [broker for _, broker in sorted(self.brokers.items()) if broker.alive]


EMPTY = Image(
    version=0,
    cluster_id="",
    controller=NOBODY,
    brokers=MappingProxyType({}),
    topics=MappingProxyType({}),
    by_id=MappingProxyType({}),
    broker_configs=MappingProxyType({}),
)
