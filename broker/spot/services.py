"""The adapter for each place that `--spot-notices` may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from broker.clock import Clock
from broker.spot.alibaba import Alibaba
from broker.spot.aws import Aws
from broker.spot.azure import Azure
from broker.spot.gcp import Gcp
from broker.spot.notice import Service
from broker.spot.places import Place
from broker.spot.plain import Plain

_MAKERS: Mapping[str, Callable[[str], Service]] = {"aws": Aws, "azure": Azure, "alibaba": Alibaba, "url": Plain}


def open_service(place: Place, clock: Clock) -> Service:
    """Nothing is sent before the first look."""
    return Gcp(place.address, clock) if place.source == "gcp" else _MAKERS[place.source](place.address)
