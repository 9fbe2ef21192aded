"""Broker loads from the brokers' own counters, so that the proof does not rest on the agent's word."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

from agent.demo.errors import ClusterFailed
from agent.model.clock import Clock

COUNTER = "kafka_network_io_bytes"
"""With its suffix `_total`; per partition and direction, from the owner only."""


class Meter:
    """Reads every broker's bytes in, and turns two readings into rates."""

    def __init__(self, metrics: dict[int, str], clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._last = self._read()

    def rates(self) -> dict[str, float]:
        """Broker id to bytes in per second since the reading before."""
        then, now = self._last, self._read()
        self._last = now
        elapsed = max(now[0] - then[0], 1e-3)
        return {str(broker): max(0.0, now[1][broker] - then[1][broker]) / elapsed for broker in self._metrics}

    def _read(self) -> tuple[float, dict[int, float]]:
        at = self._clock.monotonic()
        return at, {broker: _bytes_in(url) for broker, url in self._metrics.items()}


def _bytes_in(url: str) -> float:
    try:
        text = httpx.get(url, timeout=10.0, trust_env=False).raise_for_status().text
    except httpx.HTTPError as error:
        raise ClusterFailed(f"{url} did not answer: {error}", "see the lines of the cluster") from error
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        if family.name == COUNTER
        for sample in family.samples
        if sample.labels.get("direction") == "in"
    )
