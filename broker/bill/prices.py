"""The price file, read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class InstancePrice:
    on_demand_hour: float
    spot_hour: float


@dataclass(frozen=True, kw_only=True)
class Prices:
    """USD."""

    date: str
    provider: str
    region: str
    region_name: str
    currency: str
    hours_per_month: float
    tier1_per_request: float
    tier2_per_request: float
    storage_gb_month: float
    cross_zone_gb_each_side: float
    volume_gb_month: float
    instances: Mapping[str, InstancePrice]

    def instance(self, kind: str) -> InstancePrice:
        """The price of an instance type; ValueError names the known ones."""
        if kind not in self.instances:
            raise ValueError(f"no price for instance type {kind!r}: use one of {', '.join(sorted(self.instances))}")
        return self.instances[kind]


def load_prices() -> Prices:
    """The price file of this package."""
    book = tomllib.loads((files("broker.bill") / "prices.toml").read_text(encoding="utf-8"))
    return Prices(
        date=book["date"].isoformat(),
        provider=book["provider"],
        region=book["region"],
        region_name=book["region_name"],
        currency=book["currency"],
        hours_per_month=float(book["hours_per_month"]),
        tier1_per_request=book["requests"]["tier1_per_1000"] / 1000,
        tier2_per_request=book["requests"]["tier2_per_1000"] / 1000,
        storage_gb_month=book["storage"]["gb_month"],
        cross_zone_gb_each_side=book["transfer"]["cross_zone_gb_each_side"],
        volume_gb_month=book["volume"]["gp3_gb_month"],
        instances={kind: InstancePrice(**price) for kind, price in book["instances"].items()},
    )
