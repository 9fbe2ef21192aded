"""What each client is asked to report of itself (KIP-714): by the subscriptions that fit it, or the broker's default.

All that fit hold together: their metrics, and the shortest interval. A client learns by its id that what it was told is
no longer so. Where none fits, it is everything, every `telemetry.push.interval.ms`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from broker.resource_configs import CLIENT_METRICS, Subscription

ResourceConfigs = Mapping[tuple[str, str], Mapping[str, str]]
DEFAULT_ID = 1
"""Of what is asked of whom nothing else fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What one client is asked for."""

    id: int
    interval_s: float
    metrics: tuple[str, ...]
    """Beginnings of names; empty: nothing."""


class Subscriptions:
    """All of them, read again when one changed."""

    def __init__(self, configs: Callable[[], ResourceConfigs], everything: Wanted) -> None:
        self._configs, self._everything = configs, everything
        self._read: ResourceConfigs | None = None
        self._all: tuple[Subscription, ...] = ()

    def of(self, client: Mapping[str, str]) -> Wanted:
        """`client` has a text under each of resource_configs.MATCHED."""
        fitting = [each for each in self._current() if each.fits(client)]
        if not fitting:
            return self._everything
        metrics = tuple(sorted({metric for each in fitting for metric in each.metrics}))
        if "" in metrics:
            metrics = ("",)
        interval_ms = min(each.interval_ms for each in fitting)
        number = zlib.crc32(repr((metrics, interval_ms)).encode()) & 0x7FFFFFFF
        return Wanted(id=max(number, DEFAULT_ID + 1), interval_s=interval_ms / 1000, metrics=metrics)

    def _current(self) -> tuple[Subscription, ...]:
        configs = self._configs()
        if configs is not self._read:
            found = [values for (kind, _), values in sorted(configs.items()) if kind == CLIENT_METRICS]
            self._read, self._all = configs, tuple(map(Subscription.of, found))
        return self._all
