"""Whose money it is: every charge to topics, clients, groups or zones, and what cannot be said stays a line of its own.

| by | measured | shared |
|---|---|---|
| topic | storage; copies between replicas | the rest by bytes written and read |
| client | traffic between zones | the rest by bytes written and read |
| group | | what its members' clients read, of all bytes moved; traffic between zones by what they read across |
| zone | brokers with their WAL and requests by their zone, clients by theirs | what is stored is in none |

The sum is the same whatever the way: only `(not allocated)` differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.model.resource import parts

Row = Mapping[str, Any]
WAYS = ("component", "topic", "client", "group", "zone")
METHODS = {
    "component": "as metered",
    "topic": "storage as measured; the rest by each topic's share of bytes written and read",
    "client": "traffic between zones as measured; the rest by each client's share of bytes written and read",
    "group": "what its members read, of all bytes moved; what producers cause is not allocated",
    "zone": "brokers, with their WAL and requests, and clients by their zone; what is stored is in none",
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The views' rows that shares are made of."""

    brokers: Sequence[Row] = ()
    partition_load: Sequence[Row] = ()
    client_load: Sequence[Row] = ()
    group_lag: Sequence[Row] = ()


class Allocation:
    """Shares by one way. `of` splits one charge; its shares add up to at most 1."""

    def __init__(self, by: str, seen: Seen) -> None:
        self._by = by
        self._zones = {str(row["broker"]): str(row["zone"]) for row in seen.brokers if row["zone"]}
        self._client_zones = {
            str(row["client_id"]): str(row["client_zone"]) for row in seen.client_load if row["client_zone"]
        }
        if by == "topic":
            moved = [(str(row["topic"]), _bytes(row)) for row in seen.partition_load]
            self._shares = _shares(moved)
        elif by == "client":
            self._shares = _shares((str(row["client_id"]), row["bytes_per_s"] or 0.0) for row in seen.client_load)
        else:
            self._shares = {}
        self._groups = _Groups(seen) if by == "group" else None

    def of(self, component: str, resource: str) -> dict[str, float]:
        """Name to share of a charge."""
        if self._by == "component":
            return {component: 1.0}
        segments = parts(resource)
        kind, name = (segments[1], segments[2]) if len(segments) > 2 else ("", "")
        if self._by == "zone":
            zone = (
                self._zones.get(name)
                if kind == "broker"
                else self._client_zones.get(name)
                if kind == "client"
                else None
            )
            return {zone: 1.0} if zone else {name: 1.0} if kind == "zone" else {}
        if kind == self._by:
            return {name: 1.0}
        if self._groups is not None:
            return self._groups.of(name if kind == "client" else None)
        return self._shares


class _Groups:
    """What each group's clients read, of everything."""

    def __init__(self, seen: Seen) -> None:
        members = {(str(row["group_id"]), str(row["member_id"])) for row in seen.group_lag if row["member_id"]}
        clients = {str(row["client_id"]) for row in seen.client_load}
        group_of: dict[str, str] = {}
        for group, member in sorted(members):
            fitting = [client for client in clients if member == client or member.startswith(f"{client}-")]
            if fitting:
                group_of[max(fitting, key=len)] = group
        self._all = sum(row["bytes_per_s"] or 0.0 for row in seen.client_load)
        self._read: defaultdict[str, float] = defaultdict(float)
        self._crossed: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for row in seen.client_load:
            client, across = str(row["client_id"]), row["cross_zone_bytes_per_s"] or 0.0
            self._crossed[client][1] += across
            if row["direction"] == "fetch" and client in group_of:
                self._read[group_of[client]] += row["bytes_per_s"] or 0.0
                self._crossed[client][0] += across
        self._group_of = group_of

    def of(self, client: str | None) -> dict[str, float]:
        if client is None:
            return {group: size / self._all for group, size in self._read.items()} if self._all else {}
        read, whole = self._crossed.get(client, [0.0, 0.0])
        group = self._group_of.get(client)
        return {group: read / whole} if group is not None and whole > 0 else {}


def _bytes(row: Row) -> float:
    return float((row["bytes_in_per_s"] or 0.0) + (row["bytes_out_per_s"] or 0.0))


def _shares(moved: Any) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for name, size in moved:
        sums[name] += size
    whole = sum(sums.values())
    return {name: size / whole for name, size in sums.items() if size > 0} if whole > 0 else {}
