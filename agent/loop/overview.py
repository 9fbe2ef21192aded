"""The first screen as data: each broker's load with its last minutes, the totals, and what an hour costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from agent.loop.glance import Row

POINTS = 60
HOURS_A_MONTH = 730


class Series:
    """The last points of each broker's bytes in and out, one a round."""

    def __init__(self) -> None:
        self._points: dict[str, deque[tuple[float | None, float | None]]] = {}

    def add(self, load: Sequence[Row]) -> None:
        """One point for every broker known so far; None for one that said nothing this round."""
        now = {str(row["broker"]): (row["bytes_in_per_s"], row["bytes_out_per_s"]) for row in load}
        for broker in {*self._points, *now}:
            self._points.setdefault(broker, deque(maxlen=POINTS)).append(now.get(broker, (None, None)))

    def of(self, broker: str) -> list[tuple[float | None, float | None]]:
        """Oldest first."""
        return list(self._points.get(broker, ()))


def overview(*, brokers: Sequence[Row], load: Sequence[Row], cost: Sequence[Row], series: Series) -> dict[str, Any]:
    """GET /api/overview."""
    loads = {str(row["broker"]): row for row in load}
    ids = sorted({*loads, *(str(row["broker"]) for row in brokers)}, key=_numerically)
    known = {str(row["broker"]): row for row in brokers}
    lines = [_broker(id, known.get(id, {}), loads.get(id, {}), series) for id in ids]
    hourly = per_hour(cost)
    return {
        "brokers": lines,
        "totals": {
            "brokers": len(lines),
            "up": sum(line["up"] is True for line in lines),
            "bytes_in_per_s": total(line["bytes_in_per_s"] for line in lines),
            "bytes_out_per_s": total(line["bytes_out_per_s"] for line in lines),
            "requests_per_s": total(line["requests_per_s"] for line in lines),
            "leaders": total(line["leaders"] for line in lines),
            "busiest_over_mean": _skew([line["bytes_in_per_s"] for line in lines]),
        },
        "usd_per_hour": hourly,
        "usd_per_month": None if hourly is None else hourly * HOURS_A_MONTH,
    }


def _broker(id: str, known: Row, load: Row, series: Series) -> dict[str, Any]:
    points = series.of(id)
    measures = (
        "bytes_in_per_s",
        "bytes_out_per_s",
        "requests_per_s",
        "cpu_share",
        "rss_bytes",
        "connections",
        "leaders",
    )
    return {
        "id": id,
        "zone": known.get("zone"),
        "up": known.get("up"),
        "version": known.get("version"),
        **{name: load.get(name) for name in measures},
        "series": {"bytes_in_per_s": [point[0] for point in points], "bytes_out_per_s": [point[1] for point in points]},
    }


def per_hour(cost: Sequence[Row]) -> float | None:
    """The meter's total, else the bill's: the two describe the same money and are never added."""
    for basis in ("meter", "bill"):
        amounts = [row["usd_per_hour"] for row in cost if row["basis"] == basis and row["usd_per_hour"] is not None]
        if amounts:
            return float(sum(amounts))
    return None


def total(values: Any) -> float | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _skew(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    mean = sum(known) / len(known) if known else 0.0
    return max(known) / mean if mean > 0 else None


def _numerically(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (1 << 30, name)
