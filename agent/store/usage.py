"""What a cluster uses, and what that costs an hour: the shapes between the views, which measure, and the meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from agent.store.batch import Columns


@dataclass(frozen=True, kw_only=True)
class BrokerUsage:
    resource: str
    instance_type: str | None
    """None: the price book's default counts, and the charge says so."""
    spot: bool
    wal_bytes: float | None
    """Provisioned, not used."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Rates and levels at one instant, by the resource they are spent for."""

    brokers: tuple[BrokerUsage, ...] = ()
    requests_per_s: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(broker resource, operation) to requests."""
    cross_zone_bytes_per_s: Mapping[str, float] = field(default_factory=dict)
    """Client resource to bytes that crossed a zone between it and a broker."""
    stored_bytes: Mapping[str, float] = field(default_factory=dict)
    """Topic or store resource to bytes in an object store."""
    volume_bytes: Mapping[str, float] = field(default_factory=dict)
    """Topic resource to bytes on brokers' volumes, every replica counted."""
    replicated_bytes_per_s: Mapping[str, float] = field(default_factory=dict)
    """Topic resource to bytes that brokers copied to replicas in another zone."""


@dataclass(frozen=True, kw_only=True)
class Charge:
    component: str
    """compute, storage, requests, network, wal."""
    for_resource: str
    usd_per_hour: float


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What something cost an hour over whole days of the past."""

    component: str
    resource: str
    """The meter's resource id, or the cloud's own; empty where a bill names none."""
    usd_per_hour: float
    basis: str
    """meter or bill."""


class Money(Protocol):
    """Who knows prices and bills (agent.billing); handed to the views, which know neither."""

    @property
    def price_date(self) -> date:
        """The day the price book was taken down."""

    def charges(self, usage: Usage) -> list[Charge]:
        """What the usage costs."""

    def settled(self, since: datetime, until: datetime) -> list[Settled]:
        """The days of [since, until): both bases over those that are closed, else what was metered."""

    def bill(self, since: datetime, until: datetime) -> Columns:
        """Bill rows whose charge period starts in [since, until), under FOCUS 1.2 names; empty without a bill."""
