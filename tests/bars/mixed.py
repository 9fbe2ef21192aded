"""The mixed data of the agent's benchmarks: what Kafka's exporters show, seeded, as numbers and as exposition text.

Of ten series two are counters of requests, one of bytes, one of events that hardly ever happen and one of seconds; two
do not change at all, one is a gauge of whole numbers, one of three decimals, and one is a measured time with all its
digits. That is kinder than pure noise and harsher than a real broker, of whose series more than half stand still.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INTERVAL_S = 15
KINDS = 10


def values(series: int, rounds: int, seed: int = 1) -> NDArray[np.float64]:
    """`rounds` rows of `series` values."""
    rng = np.random.default_rng(seed)
    table = np.empty((rounds, series))
    for n in range(series):
        kind = n * KINDS // series
        if kind < 2:
            column = rng.integers(0, 10**9) + np.cumsum(rng.poisson(50, rounds))
        elif kind == 2:
            column = rng.integers(0, 10**12) + np.cumsum(rng.integers(0, 3_000_000, rounds))
        elif kind < 5:
            column = np.full(rounds, float(rng.integers(0, 1000)))
        elif kind == 5:
            column = np.cumsum(rng.random(rounds) < 0.02)
        elif kind == 6:
            column = np.floor(np.cumsum(rng.normal(0, 2, rounds)) + 100)
        elif kind == 7:
            column = np.round(np.cumsum(rng.normal(0, 0.1, rounds)) + 10, 3)
        elif kind == 8:
            column = np.cumsum(np.where(rng.random(rounds) < 0.3, rng.random(rounds), 0.0))
        else:
            column = rng.gamma(2.0, 0.005, rounds)
        table[:, n] = column
    return table


def names(series: int) -> list[str]:
    """`name{labels}` of each."""
    return [
        f'kafka_mixed_{n * KINDS // series}_total{{topic="orders-{n % 97}",partition="{n // 97}",direction="in"}}'
        for n in range(series)
    ]


def page(keys: list[str], row: NDArray[np.float64]) -> bytes:
    """One scrape, as Go's and Java's clients write it: whole numbers without a fraction, the rest with all digits."""
    lines, last = [], ""
    for key, value in zip(keys, row.tolist(), strict=True):
        name = key.partition("{")[0]
        if name != last:
            last = name
            lines.append(f"# HELP {name} What it counts.\n# TYPE {name} counter")
        lines.append(f"{key} {int(value) if value == int(value) else repr(value)}")
    return ("\n".join(lines) + "\n").encode()
