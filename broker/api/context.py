"""What a handler is given besides the request: the parts of the broker, and who is asking."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from broker.api.fetch_sessions import FetchSessions
from broker.api.patience import Patience
from broker.clock import Clock
from broker.quotas.quotas import Quotas
from broker.records.batch import Batch
from broker.security.access import ANONYMOUS, OPEN, Access
from broker.security.login import Login
from broker.telemetry.pushed import ClientTelemetry
from broker.turns import Turns


class Meter(Protocol):
    """Where the API layer counts. `connection` names the client; the meter bounds how many names it keeps."""

    def produced(self, connection: ConnectionInfo, topic: str, index: int, batches: Sequence[Batch]) -> None:
        """Batches of one partition were acknowledged (or, with acks=0, taken)."""

    def fetched(self, connection: ConnectionInfo, topic: str, index: int, size_bytes: int) -> None:
        """Record bytes of one partition were put into an answer."""

    def request(self, name: str, version: int, seconds: float, error: str | None) -> None:
        """A request was answered; `error` is the first Kafka error in it, by name."""

    def client_request(self, connection: ConnectionInfo, direction: str) -> None:
        """A produce or fetch request came; `direction` is one of the two words."""

    def throttled(self, connection: ConnectionInfo, kind: str, seconds: float) -> None:
        """The client was told to wait, because of that kind of quota."""

    def connection(self, listener: str, change: int) -> None:
        """A client came (1) or went (-1)."""

    def authenticated(self, listener: str, mechanism: str, succeeded: bool) -> None:
        """A client has said who it is, or what it said was wrong."""

    def denied(self, name: str) -> None:
        """Something in the answer to that API was refused for want of a right."""

    def hung_up(self, listener: str, reason: str) -> None:
        """A client was hung up on at the door, for one of a few reasons."""


@dataclass(kw_only=True, slots=True)
class Known:
    """What a handler worked out about topics, good as long as the image is that one."""

    of: object = None
    by_topic: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True, eq=False)
class ConnectionInfo:
    """One client connection. It learns: client id from headers, software from ApiVersions, rack from Fetch."""

    listener: str
    peer: str
    """The client's address, without port."""
    principal: str = ANONYMOUS
    """Who it is, as ACLs name it."""
    login: Login | None = None
    """How it says so, where the listener asks."""
    client_id: str = ""
    software_name: str = "unknown"
    software_version: str = "unknown"
    shares: bool = False
    """Whether share sessions came through it."""
    zone: str | None = None
    """The rack of its Fetch requests; None until it told one. The meter knows the other ways to a zone."""
    sent_near: dict[tuple[UUID, int], float] = field(default_factory=dict)
    """Partitions that it was sent to another broker for, and when (broker/api/nearer.py)."""
    appending: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the Produce that is appending: the next one of the connection comes after it, even if it takes turns."""
    patience: Patience = field(default_factory=Patience)
    """With its requests that wait."""
    rules: Known = field(default_factory=Known)
    """Of the topics it writes to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What this one broker was started with."""

    broker_id: int
    zone: str | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    """`--config key=value`: broker configs by Kafka's names (broker.configs)."""
    max_frame_bytes: int = 100 * 1024 * 1024
    """Kafka's socket.request.max.bytes."""
    max_unknown_frame_bytes: int = 65536
    """The same, of a client that has yet to say who it is: sasl.server.max.receive.size."""
    idle_seconds: float = 600.0
    """Kafka's connections.max.idle.ms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """A handler's world. `connection` is the asker's; everything else is shared by all requests of the broker."""

    logs: Any
    """broker.log.Logs"""
    metadata: Any
    """broker.metadata.Metadata"""
    groups: Any
    """broker.groups.Groups"""
    shares: Any
    """broker.shares.shares.Shares: what share groups do with the partitions that are led here."""
    transactions: Any
    """broker.transactions.coordinator.TransactionCoordinator"""
    config: Settings
    clock: Clock
    meter: Meter
    turns: Turns
    """Asked by handlers whose work may be long (law 14)."""
    connection: ConnectionInfo
    fetch_sessions: FetchSessions
    """What clients read, between their requests."""
    near: Any
    """broker.log.near.Near: tails that other brokers lead."""
    writers: Any
    """broker.log.writers.Writers: who writes to partitions that other brokers lead."""
    telemetry: ClientTelemetry
    """What clients report of themselves."""
    quotas: Quotas
    """How much of it."""
    access: Access = OPEN
    """What the asker may do."""
