"""What the demo plays: brokers, topics with the bytes each partition carries, clients, and the truths planted in them.

Shapes and their arithmetic only; `plant.py` draws them from a seed. Bytes are bytes on the wire, after compression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Plant = Literal["hot-broker", "hot-key", "cross-zone", "no-compression", "stopped-consumer"]
Codec = Literal["none", "lz4", "zstd"]

PLANTS: tuple[Plant, ...] = ("hot-broker", "hot-key", "cross-zone", "no-compression", "stopped-consumer")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A broker as the demo sees it."""

    id: int
    zone: str


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The load of one partition."""

    partition: int
    owner: int
    """The broker that leads it when the topic is created."""
    bytes_per_s: float
    keys: tuple[str, ...]
    hot_key: str | None = None
    hot_share: float = 0.0
    """Of this partition's bytes, the share that `hot_key` has."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One topic, the one producer that writes it and the group that follows it."""

    topic: str
    streams: tuple[Stream, ...]
    producer: str
    """Its client id."""
    codec: Codec
    group: str
    consumer: str
    """Its client id, with `,zone=...` where the zone is known."""

    @property
    def bytes_per_s(self) -> float:
        return sum(stream.bytes_per_s for stream in self.streams)

    @property
    def top_share(self) -> float:
        """The largest partition's share of the topic."""
        return max(stream.bytes_per_s for stream in self.streams) / self.bytes_per_s

    def owned_elsewhere(self, owners: frozenset[int]) -> float:
        """Bytes per second of the partitions that none of `owners` leads."""
        return sum(stream.bytes_per_s for stream in self.streams if stream.owner not in owners)


@dataclass(frozen=True, kw_only=True)
class SideReader:
    """A second group on one of the topics; the one that stops, where that is planted."""

    group: str
    consumer: str
    topic: str
    stops: bool


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One planted problem, as the rule and the resource that must be found; nothing else may be."""

    plant: Plant
    rule: str
    resource: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Scenario:
    seed: int
    plants: tuple[Plant, ...]
    cluster: str
    nodes: tuple[Node, ...]
    traffic: tuple[Traffic, ...]
    side_reader: SideReader
    truths: tuple[Truth, ...]
    pinned: frozenset[tuple[str, int]]
    """Partitions that no plan may move: their load is one key, and it would move with them."""

    @property
    def bytes_per_s(self) -> float:
        return sum(traffic.bytes_per_s for traffic in self.traffic)

    def broker_load(self) -> dict[int, float]:
        """Broker id to bytes in per second, as created."""
        return broker_load(self.nodes, {node.id: 0.0 for node in self.nodes}, self.traffic)

    @property
    def busiest_over_mean(self) -> float:
        load = self.broker_load()
        return max(load.values()) * len(load) / sum(load.values())


def broker_load(nodes: tuple[Node, ...], base: Mapping[int, float], traffic: tuple[Traffic, ...]) -> dict[int, float]:
    """`base` plus what the partitions bring to the brokers that own them."""
    load = {node.id: base[node.id] for node in nodes}
    for topic in traffic:
        for stream in topic.streams:
            load[stream.owner] += stream.bytes_per_s
    return load
