"""List prices as dated data, one file per cloud and region (`prices/*.toml`). Shares nothing with the broker's own.

A book is asked for by `provider/region`, or is a file of one's own. What a book lacks is said by name, never made up.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from agent.billing.errors import PriceError

PRICES = Path(__file__).parent / "prices"
DEFAULT = PRICES / "aws_us_east_1.toml"


@dataclass(frozen=True, kw_only=True)
class PriceBook:
    """USD; per request, GB (2^30 bytes), GB-month or hour."""

    provider: str
    region: str
    taken_down: date
    hours_per_month: float
    tier1: float
    tier2: float
    object_gb_month: float
    volume_gb_month: float
    cross_zone_gb: float
    """Both sides together."""
    nat_gb: float | None
    """None: this cloud sells it otherwise."""
    default_instance: str
    on_demand: Mapping[str, float]
    spot: Mapping[str, float]

    @property
    def name(self) -> str:
        """For people: whose, where and of which day."""
        return f"{self.provider} {self.region} ({self.taken_down.isoformat()})"

    def instance_hour(self, instance_type: str | None, *, spot: bool) -> float:
        """An hour of an instance, of the default one where nobody says which; PriceError names an unknown type."""
        prices = self.spot if spot else self.on_demand
        wanted = instance_type or self.default_instance
        if wanted not in prices:
            raise PriceError(
                f"the price book {self.name} has no {'spot ' if spot else ''}price for {wanted!r}: "
                f"it has {', '.join(sorted(prices))}"
            )
        return prices[wanted]


def book_of(wanted: str) -> PriceBook:
    """`aws/us-east-1`, or the path of a price file; the default book for an empty name."""
    if not wanted:
        return load_prices()
    if wanted.endswith(".toml"):
        return load_prices(Path(wanted))
    books = {f"{book.provider}/{book.region}".lower(): book for book in map(load_prices, sorted(PRICES.glob("*.toml")))}
    if wanted.lower() not in books:
        raise PriceError(f"no price book for {wanted!r}: there are {', '.join(sorted(books))}, or name a file.toml")
    return books[wanted.lower()]


def load_prices(path: Path = DEFAULT) -> PriceBook:
    """Reads a price file; PriceError names what is missing."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return PriceBook(
            provider=str(data["provider"]),
            region=str(data["region"]),
            taken_down=data["taken_down"],
            hours_per_month=float(data["hours_per_month"]),
            tier1=float(data["requests"]["tier1"]),
            tier2=float(data["requests"]["tier2"]),
            object_gb_month=float(data["storage"]["object"]),
            volume_gb_month=float(data["storage"]["volume"]),
            cross_zone_gb=float(data["network"]["cross_zone"]),
            nat_gb=float(data["network"]["nat"]) if "nat" in data["network"] else None,
            default_instance=str(data["instances"]["default"]),
            on_demand=dict(data["instances"]["on_demand"]),
            spot=dict(data["instances"]["spot"]),
        )
    except (OSError, tomllib.TOMLDecodeError, ValueError, TypeError) as error:
        raise PriceError(f"cannot use the price book {path}: {error}") from error
    except KeyError as error:
        raise PriceError(f"the price book {path} lacks {error}; compare it with {DEFAULT.name}") from error
