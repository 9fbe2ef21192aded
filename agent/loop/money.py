"""GET /api/cost: the cost view by component, topic, client, group or zone; the meter and the bill are never added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from agent.billing.allocation import METHODS, WAYS, Allocation, Seen
from agent.billing.arithmetic import GIB, Line
from agent.billing.errors import PriceError, WhatIfError
from agent.billing.ledger import Ledger
from agent.billing.pricebook import PriceBook
from agent.billing.what_if import Cluster, what_if
from agent.loop.glance import Glance, Row
from agent.loop.overview import HOURS_A_MONTH, total
from agent.loop.refused import Refused
from agent.model.codec import timestamp

MOST_POINTS = 400


def seen_by(glance: Glance) -> Seen:
    """The views that shares are made of."""
    return Seen(
        brokers=glance.rows("broker"),
        partition_load=glance.rows("partition_load"),
        client_load=glance.rows("client_load"),
        group_lag=glance.rows("group_lag"),
    )


def costs(rows: Sequence[Row], seen: Seen, by: str) -> dict[str, Any]:
    """Summed over one basis: the meter where there is one, else the bill."""
    if by not in WAYS:
        raise Refused(f"cost by {by!r} is not known", f"choose one of {', '.join(WAYS)}")
    basis = "meter" if any(row["basis"] == "meter" for row in rows) else "bill"
    kept = [row for row in rows if row["basis"] == basis and row["usd_per_hour"] is not None]
    allocation = Allocation(by, seen)
    sums: defaultdict[str, float] = defaultdict(float)
    dates: dict[str, str] = {}
    unallocated, newest = 0.0, ""
    for row in kept:
        left, date = 1.0, str(row["price_date"] or "")
        newest = max(newest, date)
        for name, share in allocation.of(str(row["component"]), str(row["for_resource"] or "")).items():
            sums[name] += share * row["usd_per_hour"]
            dates[name] = date
            left -= share
        unallocated += left * row["usd_per_hour"]
    lines = [
        _line(name, amount, basis, dates[name]) for name, amount in sorted(sums.items(), key=lambda item: -item[1])
    ]
    if unallocated > 1e-12:
        lines.append(_line("(not allocated)", unallocated, basis, newest))
    hourly = sum(line["usd_per_hour"] for line in lines) if lines else None
    return {
        "by": by,
        "allocation": METHODS[by],
        "rows": lines,
        "usd_per_hour": hourly,
        "usd_per_month": None if hourly is None else hourly * HOURS_A_MONTH,
        "note": "" if lines else "no cost is known yet: the meter needs two scrapes of brokers with a known price",
    }


def history(ledger: Ledger, now: datetime, seconds: float) -> list[dict[str, Any]]:
    """What was metered, oldest first: hours, or longer stretches where there would be too many; gaps are left out."""
    since = now - timedelta(seconds=seconds)
    step_h = max(1, -(-int(seconds // 3600) // MOST_POINTS))
    spent: defaultdict[int, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    watched: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for money in ledger.spent(since, now):
        spent[_bucket(money.at, step_h)][money.component] += money.usd
    for hour in ledger.watched(since, now):
        watched[_bucket(hour.at, step_h)][0] += hour.seconds
        watched[_bucket(hour.at, step_h)][1] += hour.written_bytes
    return [
        {
            "at": timestamp(datetime.fromtimestamp(bucket, now.tzinfo)),
            "until": timestamp(datetime.fromtimestamp(bucket + 3600 * step_h, now.tzinfo)),
            "watched_s": seen_s,
            "usd": sum(spent[bucket].values()),
            "usd_per_hour": 3600 * sum(spent[bucket].values()) / seen_s,
            "usd_per_gib_written": sum(spent[bucket].values()) * GIB / written if written else None,
            "components": dict(spent[bucket]),
        }
        for bucket, (seen_s, written) in sorted(watched.items())
        if seen_s > 0
    ]


def _bucket(at: datetime, step_h: int) -> int:
    return int(at.timestamp()) // (3600 * step_h) * 3600 * step_h


def supposed(glance: Glance, prices: PriceBook, changes: Sequence[str]) -> dict[str, Any]:
    """What a month would cost after some changes, with every line's arithmetic."""
    try:
        found = what_if(cluster_of(glance, prices), prices, changes)
    except (WhatIfError, PriceError) as error:
        raise Refused(str(error)) from error
    before, after = (sum(line.usd for line in lines) for lines in (found.before, found.after))
    return {
        "changes": list(found.changes),
        "prices": prices.name,
        "hours_per_month": prices.hours_per_month,
        "before": [_shown(line) for line in found.before],
        "after": [_shown(line) for line in found.after],
        "usd_per_month_before": before,
        "usd_per_month_after": after,
        "usd_per_month_more": after - before,
        "notes": list(found.notes),
    }


def cluster_of(glance: Glance, prices: PriceBook) -> Cluster:
    """The cluster now, from the views; Refused while nothing is known."""
    up = [row for row in glance.rows("broker") if row["up"]]
    load = glance.rows("broker_load")
    if not up:
        raise Refused("no broker is known yet", "ask again after the first rounds")
    operations: defaultdict[str, float] = defaultdict(float)
    for row in glance.rows("object_store_ops"):
        operations[str(row["operation"])] += row["requests_per_s"] or 0.0
    puts = sum(operations[name] for name in ("put", "copy", "post", "list", "multipart"))
    metered = [row for row in glance.rows("cost") if row["basis"] == "meter" and row["usd_per_hour"] is not None]
    hourly: defaultdict[str, float] = defaultdict(float)
    for row in metered:
        hourly[str(row["component"])] += row["usd_per_hour"]
    kafka = all(row["kind"] == "kafka" for row in up)
    per_gib = prices.volume_gb_month if kafka else prices.object_gb_month
    in_store = any(row["kind"] in ("objects", "s3") for row in glance.rows("wal_state"))
    zones = {str(row["zone"]) for row in up if row["zone"]}
    cpu = [row["cpu_share"] for row in load if row["cpu_share"] is not None]
    uploads = min(puts, len(up) / 60.0) if in_store else puts
    return Cluster(
        brokers=len(up),
        instance_type=next((str(row["instance_type"]) for row in up if row["instance_type"]), None),
        spot=sum(bool(row["spot"]) for row in up),
        zones=len(zones) or 1,
        written_per_s=total(row["bytes_in_per_s"] for row in load) or 0.0,
        stored_bytes=_gib_months(hourly["storage"], per_gib, prices) * GIB,
        puts_per_s=uploads,
        gets_per_s=operations["get"] + operations["head"],
        crossing_per_s=_per_s(hourly["network"], prices.cross_zone_gb) * GIB,
        wal_bytes=_gib_months(hourly["wal"], prices.volume_gb_month, prices) * GIB,
        wal_puts_per_s=puts - uploads,
        cpu_share=max(cpu, default=None),
        replicas=_replicas(glance) if kafka else 0,
    )


def _replicas(glance: Glance) -> int:
    return max((len(row["replicas"] or ()) for row in glance.rows("partition")), default=1) or 1


def _gib_months(usd_per_hour: float, price: float, prices: PriceBook) -> float:
    return usd_per_hour * prices.hours_per_month / price if price else 0.0


def _per_s(usd_per_hour: float, price: float) -> float:
    return usd_per_hour / 3600 / price if price else 0.0


def _shown(line: Line) -> dict[str, Any]:
    return {"component": line.component, "usd_per_month": line.usd, "arithmetic": line.words}


def _line(name: str, hourly: float, basis: str, date: str) -> dict[str, Any]:
    month = hourly * HOURS_A_MONTH
    return {"name": name, "usd_per_hour": hourly, "usd_per_month": month, "basis": basis, "price_date": date}
