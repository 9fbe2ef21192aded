"""GET /api/cost: the cost view summed by component, topic, client or zone; the meter and the bill are never added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agent.loop.glance import Row
from agent.loop.overview import HOURS_A_MONTH
from agent.loop.refused import Refused
from agent.model.resource import parts

WAYS = ("component", "topic", "client", "zone")


def costs(rows: Sequence[Row], zones: dict[str, str], by: str) -> dict[str, Any]:
    """Summed over one basis: the meter where there is one, else the bill. `zones` is broker id to zone."""
    if by not in WAYS:
        raise Refused(f"cost by {by!r} is not known", f"choose one of {', '.join(WAYS)}")
    basis = "meter" if any(row["basis"] == "meter" for row in rows) else "bill"
    kept = [row for row in rows if row["basis"] == basis and row["usd_per_hour"] is not None]
    sums: defaultdict[str, float] = defaultdict(float)
    dates: dict[str, str] = {}
    unallocated = 0.0
    for row in kept:
        name = _name(row, zones, by)
        if name is None:
            unallocated += row["usd_per_hour"]
            continue
        sums[name] += row["usd_per_hour"]
        dates[name] = str(row["price_date"] or "")
    lines = [
        _line(name, amount, basis, dates[name]) for name, amount in sorted(sums.items(), key=lambda item: -item[1])
    ]
    if unallocated:
        lines.append(_line("(not allocated)", unallocated, basis, ""))
    hourly = sum(line["usd_per_hour"] for line in lines) if lines else None
    return {
        "by": by,
        "rows": lines,
        "usd_per_hour": hourly,
        "usd_per_month": None if hourly is None else hourly * HOURS_A_MONTH,
        "note": "" if lines else "no cost is known yet: the meter needs two scrapes of brokers with a known price",
    }


def _line(name: str, hourly: float, basis: str, date: str) -> dict[str, Any]:
    month = hourly * HOURS_A_MONTH
    return {"name": name, "usd_per_hour": hourly, "usd_per_month": month, "basis": basis, "price_date": date}


def _name(row: Row, zones: dict[str, str], by: str) -> str | None:
    """What this row's money is counted under; None where the allocation does not reach."""
    if by == "component":
        return str(row["component"])
    segments = parts(str(row["for_resource"] or ""))
    kind = segments[1] if len(segments) > 2 else ""
    if by == "zone":
        return zones.get(segments[2]) if kind == "broker" else segments[2] if kind == "zone" else None
    return segments[2] if kind == by else None
