"""Money as products that can be read: each line is its factors, and what they make.

The meter, the what-ifs and the golden cases use these and nothing else, so that a figure shown is a figure charged.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from agent.model.amounts import plain

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Term:
    value: float
    what: str


@dataclass(frozen=True, kw_only=True)
class Line:
    component: str
    terms: tuple[Term, ...]
    """Their product is the amount."""

    @property
    def usd(self) -> float:
        return prod(term.value for term in self.terms)

    @property
    def words(self) -> str:
        """`2,592,000 GiB written x 0.6667 of it between zones x 0.02 USD/GiB = 34,560.00 USD`."""
        return f"{' x '.join(f'{amount(term.value)} {term.what}' for term in self.terms)} = {plain(self.usd)} USD"


def amount(value: float) -> str:
    """A factor without noise: whole numbers whole, prices with the digits they have."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.1f}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 else f"{value:.10f}".rstrip("0").rstrip(".")


def _line(component: str, *terms: tuple[float, str]) -> Line:
    return Line(component=component, terms=tuple(Term(value=value, what=what) for value, what in terms))


def requests(per_s: float, seconds: float, price: float, what: str = "PUT") -> Line:
    """Requests to the object store over a time."""
    return _line("requests", (per_s, f"{what}/s"), (seconds, "s"), (price, f"USD/{what}"))


def wal_objects(brokers: float, every_s: float, seconds: float, price: float) -> Line:
    """One WAL object of each broker per interval."""
    return _line(
        "requests", (brokers, "brokers"), (1 / every_s, "WAL objects/s each"), (seconds, "s"), (price, "USD/PUT")
    )


def object_storage(stored_bytes: float, price: float) -> Line:
    """Bytes in the object store for a month."""
    return _line("storage", (stored_bytes / GIB, "GiB stored"), (price, "USD/GiB-month"))


def volumes(stored_bytes: float, copies: float, price: float, component: str = "storage") -> Line:
    """Bytes on brokers' volumes for a month; no head-room is added."""
    return _line(
        component, (stored_bytes / GIB, "GiB"), (copies, "copy" if copies == 1 else "copies"), (price, "USD/GiB-month")
    )


def crossing(moved_bytes: float, share: float, price: float, what: str = "of it between zones") -> Line:
    """Bytes of which a share (more than 1 where they cross more than once) goes from zone to zone."""
    return _line("network", (moved_bytes / GIB, "GiB"), (share, what), (price, "USD/GiB, both sides"))


def kafka_crossing(written_bytes: float, zones: int, replicas: int, price: float) -> Line:
    """Apache Kafka: a producer meets its leader in another zone in all but one of `zones`; each follower is elsewhere.

    Consumers read from a replica in their own zone (KIP-392). Followers in the leader's zone cross nothing.
    """
    away = min(replicas, zones) - 1
    produced = (zones - 1) / zones
    what = f"crossings ({zones - 1}/{zones} of produce + {away} replicas)"
    return crossing(written_bytes, produced + away, price, what)


def compute(brokers: float, hours: float, price: float, what: str = "USD/h") -> Line:
    """Machines by the hour."""
    return _line("compute", (brokers, "brokers"), (hours, "h"), (price, what))
