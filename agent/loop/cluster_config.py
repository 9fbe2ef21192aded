"""`[[cluster]]`: how each cluster is reached, and what is known of it that it does not say itself.

One cluster may go without a name: Kafka's own cluster id is it. Of several each has one, so that it is known before the
cluster answers, and so that what is kept for it is found again whatever the order in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from agent.loop import checked
from agent.loop.addresses import host_port
from agent.loop.bill_config import BillConfig, bill_config
from agent.loop.discovery_config import DiscoveryConfig, discovery_config
from agent.loop.places import placed, timezone_of, zones_of
from agent.loop.refused import Refused

MOST_CLUSTERS = 50
"""Each has threads, connections and rounds of its own, in one process on one core."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Of one among several: a folder is named so too."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One `/metrics` to scrape."""

    url: str
    broker: str | None
    """The broker's id where the exposition does not carry it."""


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """One `[[cluster]]`."""

    name: str
    """Empty: Kafka's own cluster id is the name."""
    bootstrap_servers: str
    command_config: Path | None
    kind: str
    """bundled, automq or kafka; empty: found out from what the metrics look like."""
    metrics: tuple[Target, ...]
    cores: float | None
    instance_type: str
    bill: BillConfig | None
    discovery: tuple[DiscoveryConfig, ...]
    """How more targets are found."""
    zones: Mapping[str, str]
    """CIDR to zone."""
    timezone: tzinfo
    """In which times without an offset are meant."""
    prices: str
    """`aws/us-east-1`, or a price file; empty: the default book."""


def clusters_of(rows: Sequence[Mapping[str, Any]], source: str) -> tuple[ClusterConfig, ...]:
    """Every `[[cluster]]`; Refused names what is missing, or there twice."""
    clusters = tuple(_cluster(row, source) for row in rows)
    if len(clusters) > MOST_CLUSTERS:
        raise Refused(f"{source}: {len(clusters)} clusters, at most {MOST_CLUSTERS}", "start a second agent")
    names = [cluster.name for cluster in clusters]
    for cluster in clusters if len(clusters) > 1 else ():
        if not cluster.name:
            raise Refused(
                f"{source}: {len(clusters)} clusters, and the one at {cluster.bootstrap_servers} has no name",
                'add name = "..." to each [[cluster]]',
            )
        if not NAME.fullmatch(cluster.name):
            raise Refused(
                f"{source}: cluster.name = {cluster.name!r} is no name for one of several clusters",
                "use letters, digits, dots, dashes and underscores, 100 at most",
            )
        if names.count(cluster.name) > 1:
            raise Refused(f"{source}: two clusters are named {cluster.name!r}", "rename one")
    return clusters


def placed_by(row: Mapping[str, Any], clusters: Sequence[ClusterConfig], source: str) -> Mapping[str, Any]:
    """A mute or maintenance whose times have an offset: that of its resource's cluster, else of all, if they agree."""
    home = str(row.get("resource") or "").partition("/")[0]
    meant = [cluster for cluster in clusters if cluster.name == home] or list(clusters)
    zones = {str(cluster.timezone): cluster.timezone for cluster in meant}
    if any(placed(row, zone) != placed(row, meant[0].timezone) for zone in zones.values()):
        raise Refused(
            f"{source}: a time without an offset, and the clusters' time zones are {', '.join(sorted(zones))}",
            "write its offset, or begin its resource with the name of one cluster",
        )
    return placed(row, meant[0].timezone if meant else timezone_of(None, source))


def _cluster(row: Mapping[str, Any], source: str) -> ClusterConfig:
    servers = row.get("bootstrap_servers", "")
    servers = ",".join(servers) if isinstance(servers, list) else str(servers)
    if not servers:
        raise Refused(f"{source}: a [[cluster]] has no bootstrap_servers", "add it, or pass --bootstrap-servers")
    for address in servers.split(","):
        host_port(address.strip())
    return ClusterConfig(
        name=str(row.get("name", "")),
        bootstrap_servers=servers,
        command_config=path_of(row.get("command_config")),
        kind=str(row.get("kind", "")),
        metrics=tuple(
            Target(url=str(item["url"]), broker=str(item["broker"]) if "broker" in item else None)
            for item in checked.targets(row.get("metrics", []), source)
        ),
        cores=float(row["cores"]) if "cores" in row else None,
        instance_type=str(row.get("instance_type", "")),
        bill=bill_config(row.get("bill"), source),
        discovery=discovery_config(row.get("discovery"), source),
        zones=zones_of(row.get("zones"), source),
        timezone=timezone_of(row.get("timezone"), source),
        prices=str(row.get("prices", "")),
    )


def path_of(value: Any) -> Path | None:
    """Absolute; None where nothing is said."""
    return Path(str(value)).absolute() if value else None
