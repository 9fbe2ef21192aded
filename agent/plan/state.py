"""The cluster as planning sees it: one frozen picture, made from the canonical views of one instant.

Laws:
1. Planning is pure: what it needs is in here, or it is not known.
2. Unknown loads are None. A partition whose load is unknown is not moved for balance.
3. The state hash covers the assignment and the live brokers, nothing that changes by itself: a plan made from one hash
   runs on no other. Beside it stands Kafka's own cluster id: two young clusters may have one and the same assignment.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.model.resource import parts

PartitionId = tuple[str, int]
"""Topic and partition number."""
Rows = Sequence[Mapping[str, Any]]
"""Rows of one canonical view."""
Assignment = Mapping[PartitionId, tuple[int, tuple[int, ...]]]
"""Leader (-1 for none) and replicas of each partition."""


@dataclass(frozen=True, kw_only=True)
class BrokerState:
    id: int
    zone: str | None
    up: bool
    cordoned: bool
    bytes_in_per_s: float | None


@dataclass(frozen=True, kw_only=True)
class PartitionState:
    topic: str
    partition: int
    leader: int
    """-1 where there is none."""
    replicas: tuple[int, ...]
    """The preferred owner first."""
    bytes_in_per_s: float | None
    bytes_out_per_s: float | None
    size_bytes: float | None
    internal: bool

    @property
    def id(self) -> PartitionId:
        return self.topic, self.partition


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a plan weighs; the defaults hold where no price book is known."""

    move: float = 0.02
    """A move must take this share of the mean off the busiest broker, or it is not worth making."""
    cross_zone_usd_per_gib: float | None = None
    price_date: str = ""


@dataclass(frozen=True, kw_only=True)
class ClusterState:
    cluster: str
    cluster_id: str = ""
    """Kafka's own; empty where the cluster tells none."""
    kind: str
    """bundled, automq or kafka: on the last, a move copies data."""
    brokers: tuple[BrokerState, ...]
    partitions: tuple[PartitionState, ...]
    pinned: frozenset[PartitionId] = frozenset()
    """Partitions that an open BAL-03 names: a move would only carry their heat along."""
    topic_configs: Mapping[str, Mapping[str, tuple[str | None, str]]] = field(default_factory=dict)
    """Topic to name to (value, source)."""

    @property
    def live(self) -> tuple[BrokerState, ...]:
        return tuple(broker for broker in self.brokers if broker.up)

    @property
    def hash(self) -> str:
        return state_hash({p.id: (p.leader, p.replicas) for p in self.partitions}, [b.id for b in self.live])


def state_hash(assignment: Assignment, live: Collection[int]) -> str:
    """SHA-256 over every partition's leader and replicas, and the ids of the brokers that are up."""
    rows = [
        [topic, number, leader if leader in live else -1, list(replicas)]
        for (topic, number), (leader, replicas) in assignment.items()
    ]
    text = json.dumps([sorted(rows), sorted(live)], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def state_from_views(
    cluster: str,
    views: Mapping[str, Rows],
    *,
    cluster_id: str = "",
    pinned: Collection[str] = (),
    internal: Collection[str] = (),
) -> ClusterState:
    """The picture made of the rows of `broker`, `broker_load`, `partition`, `partition_load` and `topic_config`.

    `pinned` are the resource ids that open BAL-03 risks name (a partition, or a topic: all of its partitions);
    `internal` are topics the cluster keeps for itself, besides those whose name starts with two underscores.
    """
    own = {name: [row for row in rows if row.get("cluster", cluster) == cluster] for name, rows in views.items()}
    brokers = own.get("broker", [])
    kinds = {str(row["kind"]) for row in brokers if row.get("kind")}
    partitions = tuple(_partitions(own, frozenset(internal)))
    return ClusterState(
        cluster=cluster,
        cluster_id=cluster_id,
        kind=min(kinds) if kinds else "kafka",
        brokers=tuple(_brokers(brokers, own.get("broker_load", []))),
        partitions=partitions,
        pinned=pinned_partitions(pinned, partitions),
        topic_configs=_configs(own.get("topic_config", [])),
    )


def pinned_partitions(resources: Iterable[str], partitions: Iterable[PartitionState]) -> frozenset[PartitionId]:
    """The partitions that resource ids name; a topic's id names all of them."""
    named = {parts(resource)[2:] for resource in resources if parts(resource)[1:2] == ("topic",)}
    return frozenset(p.id for p in partitions if (p.topic,) in named or (p.topic, str(p.partition)) in named)


def _brokers(rows: Rows, loads: Rows) -> Iterable[BrokerState]:
    load = {str(row["broker"]): row.get("bytes_in_per_s") for row in loads}
    for row in sorted(rows, key=lambda row: int(row["broker"])):
        yield BrokerState(
            id=int(row["broker"]),
            zone=row.get("zone"),
            up=bool(row.get("up")),
            cordoned=bool(row.get("cordoned")),
            bytes_in_per_s=load.get(str(row["broker"])),
        )


def _partitions(views: Mapping[str, Rows], internal: frozenset[str]) -> Iterable[PartitionState]:
    loads = {(row["topic"], int(row["partition"])): row for row in views.get("partition_load", [])}
    none: Mapping[str, Any] = {}
    for row in sorted(views.get("partition", []), key=lambda row: (row["topic"], int(row["partition"]))):
        topic, number = str(row["topic"]), int(row["partition"])
        load = loads.get((topic, number), none)
        leader = row.get("leader")
        yield PartitionState(
            topic=topic,
            partition=number,
            leader=-1 if leader is None else int(leader),
            replicas=tuple(int(broker) for broker in row.get("replicas") or ()),
            bytes_in_per_s=load.get("bytes_in_per_s"),
            bytes_out_per_s=load.get("bytes_out_per_s"),
            size_bytes=row.get("size_bytes"),
            internal=topic in internal or topic.startswith("__"),
        )


def _configs(rows: Rows) -> dict[str, dict[str, tuple[str | None, str]]]:
    found: dict[str, dict[str, tuple[str | None, str]]] = {}
    for row in rows:
        found.setdefault(str(row["topic"]), {})[str(row["name"])] = (row.get("value"), str(row.get("source") or ""))
    return found
