"""What a cluster would cost if: more traffic, another flush interval, spot, Apache Kafka. The arithmetic is shown.

| change | means |
|---|---|
| `traffic=3x` | three times the bytes written, read and stored (retention stays); more brokers if their CPU says so |
| `flush=250ms` | the WAL in the object store, one object of each broker per interval, instead of where it is |
| `spot` | every broker on spot |
| `kafka:rf=3` | the same bytes on Apache Kafka: replicas on volumes, copies between zones, no object store |

Changes apply in the order given. What they take for granted is said in `notes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.billing import arithmetic
from agent.billing.arithmetic import Line
from agent.billing.errors import PriceError, WhatIfError
from agent.billing.pricebook import PriceBook

PART_BYTES = 16 << 20
"""Uploads grow up to this, then there are more of them."""
FULL_CPU = 0.7
EXAMPLES = "traffic=3x, flush=250ms, spot, kafka:rf=3"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What there is now, as far as it costs money."""

    brokers: int
    instance_type: str | None
    spot: int
    """How many of the brokers."""
    zones: int
    written_per_s: float
    stored_bytes: float
    """In the object store, or on volumes with every replica."""
    puts_per_s: float
    gets_per_s: float
    crossing_per_s: float
    wal_bytes: float
    """Of volumes."""
    wal_puts_per_s: float = 0.0
    cpu_share: float | None = None
    """Of the busiest broker."""
    replicas: int = 0
    """Above 0: an Apache Kafka that keeps its logs on volumes."""


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    changes: tuple[str, ...]
    before: tuple[Line, ...]
    after: tuple[Line, ...]
    notes: tuple[str, ...]


def what_if(now: Cluster, prices: PriceBook, changes: Sequence[str]) -> WhatIf:
    """USD a month before and after; WhatIfError names a change that nobody knows, PriceError a missing price."""
    notes: list[str] = []
    then = now
    for change in changes:
        then = _changed(then, change.strip(), notes)
    return WhatIf(
        changes=tuple(changes), before=lines(now, prices), after=lines(then, prices), notes=tuple(dict.fromkeys(notes))
    )


def lines(cluster: Cluster, prices: PriceBook) -> tuple[Line, ...]:
    """A month of a cluster, line by line; what is not used has none."""
    hours = prices.hours_per_month
    seconds = hours * 3600
    demand = cluster.brokers - cluster.spot
    found = [
        *_machines(demand, cluster, prices, spot=False),
        *_machines(cluster.spot, cluster, prices, spot=True),
    ]
    if cluster.replicas:
        found.append(
            arithmetic.volumes(cluster.stored_bytes / cluster.replicas, cluster.replicas, prices.volume_gb_month)
        )
        found.append(
            arithmetic.kafka_crossing(
                cluster.written_per_s * seconds, cluster.zones, cluster.replicas, prices.cross_zone_gb
            )
        )
        return tuple(line for line in found if line.usd > 0)
    found += [
        arithmetic.requests(cluster.puts_per_s, seconds, prices.tier1),
        arithmetic.requests(cluster.wal_puts_per_s, seconds, prices.tier1, "WAL PUT"),
        arithmetic.requests(cluster.gets_per_s, seconds, prices.tier2, "GET"),
        arithmetic.object_storage(cluster.stored_bytes, prices.object_gb_month),
        arithmetic.volumes(cluster.wal_bytes, 1, prices.volume_gb_month, "wal"),
        arithmetic.crossing(cluster.crossing_per_s * seconds, 1, prices.cross_zone_gb, "time between zones"),
    ]
    return tuple(line for line in found if line.usd > 0)


def _machines(count: int, cluster: Cluster, prices: PriceBook, *, spot: bool) -> list[Line]:
    if count <= 0:
        return []
    price = prices.instance_hour(cluster.instance_type, spot=spot)
    name = cluster.instance_type or prices.default_instance
    return [arithmetic.compute(count, prices.hours_per_month, price, f"USD/h of {name}{' on spot' if spot else ''}")]


def _changed(cluster: Cluster, change: str, notes: list[str]) -> Cluster:
    if match := re.fullmatch(r"traffic=(\d+(?:\.\d+)?)x?", change):
        return _traffic(cluster, float(match[1]), notes)
    if match := re.fullmatch(r"flush=(\d+(?:\.\d+)?)(ms|s|m)", change):
        return _flush(cluster, float(match[1]) * _UNITS[match[2]], notes)
    if change == "spot":
        notes.append("spot: prices move, and a broker may be taken with two minutes' notice; none is kept on demand")
        return replace(cluster, spot=cluster.brokers)
    if match := re.fullmatch(r"kafka(?::rf=([1-9]))?", change):
        return _kafka(cluster, int(match[1] or 3), notes)
    raise WhatIfError(f"what if {change!r} is not understood: write {EXAMPLES}")


def _traffic(cluster: Cluster, factor: float, notes: list[str]) -> Cluster:
    if factor <= 0:
        raise WhatIfError(f"traffic={factor:g}x is no traffic: write a factor above 0")
    brokers = cluster.brokers
    if cluster.cpu_share is None:
        notes.append(f"traffic: {brokers} brokers stay, since their CPU is not known")
    else:
        busy = cluster.cpu_share * factor
        brokers = max(brokers, math.ceil(cluster.brokers * busy / FULL_CPU))
        notes.append(
            f"traffic: the busiest broker uses {100 * cluster.cpu_share:.0f} % of its CPU, so {brokers} brokers "
            f"stay under {100 * FULL_CPU:.0f} %"
        )
    written = cluster.written_per_s * factor
    puts = max(cluster.puts_per_s, written / PART_BYTES)
    if not cluster.replicas:
        notes.append(
            f"traffic: uploads grow up to {PART_BYTES >> 20} MiB before there are more of them; retention stays"
        )
    return replace(
        cluster,
        brokers=brokers,
        spot=brokers if cluster.spot == cluster.brokers and cluster.spot else cluster.spot,
        written_per_s=written,
        stored_bytes=cluster.stored_bytes * factor,
        puts_per_s=puts,
        gets_per_s=cluster.gets_per_s * factor,
        crossing_per_s=cluster.crossing_per_s * factor,
    )


def _flush(cluster: Cluster, every_s: float, notes: list[str]) -> Cluster:
    if every_s <= 0 or cluster.replicas:
        raise WhatIfError("flush is for a WAL in an object store: write it like flush=250ms, before kafka if at all")
    notes.append(
        f"flush: one WAL object of each broker every {every_s:g} s while there is traffic, and no volume for it"
    )
    return replace(cluster, wal_puts_per_s=cluster.brokers / every_s, wal_bytes=0.0)


def _kafka(cluster: Cluster, replicas: int, notes: list[str]) -> Cluster:
    if replicas > cluster.brokers:
        raise WhatIfError(
            f"kafka:rf={replicas} needs {replicas} brokers, and there are {cluster.brokers}: "
            f"name rf={cluster.brokers} at most"
        )
    copies = max(cluster.replicas, 1)
    notes.append(
        f"kafka: {cluster.zones} zones, producers spread evenly, consumers read in their own zone, the same machines, "
        "volumes without head-room"
    )
    return replace(cluster, replicas=replicas, stored_bytes=cluster.stored_bytes / copies * replicas)


__all__ = ["Cluster", "PriceError", "WhatIf", "lines", "what_if"]
