"""What the measures say is being used, for the meter to price. The allocation: requests and WAL to brokers, cross-zone
bytes to clients, stored bytes to topics by the size of their logs and the rest, dead objects among it, to the store.
"""

from __future__ import annotations

from collections import defaultdict

from agent.collect.window import Window
from agent.model.resource import resource_id
from agent.store.batch import Columns
from agent.store.usage import BrokerUsage, Usage


def usage(cluster: str, window: Window, brokers: Columns, partitions: Columns) -> Usage:
    """Reads the measures of a window; what is unknown is absent, and so costs nothing that would be made up."""
    spot, wal = _spot_and_wal(window)
    on_volumes = "kafka" in set(brokers["kind"].tolist())
    units = zip(brokers["broker"].tolist(), brokers["up"].tolist(), brokers["instance_type"].tolist(), strict=True)
    return Usage(
        brokers=tuple(
            BrokerUsage(
                resource=resource_id(cluster, "broker", broker),
                instance_type=instance,
                spot=broker in spot,
                wal_bytes=wal.get(broker),
            )
            for broker, up, instance in units
            if up
        ),
        requests_per_s={
            (resource_id(cluster, "broker", broker), operation): rate
            for (broker, operation), rate in _sums(window, "store_requests", "rate", "broker", "operation").items()
        },
        cross_zone_bytes_per_s={
            resource_id(cluster, "client", client): rate
            for (client,), rate in _sums(window, "client_cross_zone_bytes", "rate", "client_id").items()
        },
        stored_bytes=_stored(cluster, window),
        volume_bytes=_on_volumes(cluster, window) if on_volumes else {},
        replicated_bytes_per_s=_replicated(cluster, window, brokers, partitions) if on_volumes else {},
    )


def _spot_and_wal(window: Window) -> tuple[set[str], dict[str, float]]:
    info = window.only(("broker_info",))
    spot = {broker for broker, flag in zip(info["broker"], info["spot"], strict=True) if flag == "true"}
    capacity = {broker: size for (broker,), size in _sums(window, "wal_capacity_bytes", "last", "broker").items()}
    return spot, capacity


def _stored(cluster: str, window: Window) -> dict[str, float]:
    live = _most(window, "live_bytes")
    if live is None:
        return {}
    sizes = _sums(window, "log_size", "last", "topic")
    total = sum(sizes.values())
    share = min(1.0, live / total) if total else 0.0
    stored = {resource_id(cluster, "topic", topic): size * share for (topic,), size in sizes.items()}
    stored[resource_id(cluster, "store", "objects")] = max(0.0, live - total * share) + (
        _most(window, "dead_bytes") or 0
    )
    return stored


def _most(window: Window, measure: str) -> float | None:
    """Of the brokers: only the controller knows."""
    return max((size for size in window.only((measure,))["last"].tolist() if size == size), default=None)


def _on_volumes(cluster: str, window: Window) -> dict[str, float]:
    sizes = _sums(window, "log_size", "last", "topic")
    return {resource_id(cluster, "topic", topic): size for (topic,), size in sizes.items()}


def _replicated(cluster: str, window: Window, brokers: Columns, partitions: Columns) -> dict[str, float]:
    """Bytes written times the replicas that are in another zone than the leader, on the average of the partitions."""
    zones = dict(zip(brokers["broker"].tolist(), brokers["rack"].tolist(), strict=True))
    copies: dict[str, list[int]] = defaultdict(list)
    named = (partitions[name].tolist() for name in ("topic", "leader", "replicas"))
    for topic, leader, replicas in zip(*named, strict=True):
        home = zones.get(leader)
        if home is not None:
            away = (zones.get(replica) for replica in replicas if replica != leader)
            copies[topic].append(sum(zone is not None and zone != home for zone in away))
    written = _sums(window, "topic_bytes_in", "rate", "topic")
    return {
        resource_id(cluster, "topic", topic): rate * sum(copies[topic]) / len(copies[topic])
        for (topic,), rate in written.items()
        if copies.get(topic)
    }


def _sums(window: Window, measure: str, value: str, *keys: str) -> dict[tuple[str, ...], float]:
    rows = window.only((measure,))
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for *names, amount in zip(*(rows[key].tolist() for key in keys), rows[value].tolist(), strict=True):
        if amount == amount and None not in names:
            sums[tuple(names)] += amount
    return sums
