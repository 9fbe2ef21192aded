"""One measured round of an arm under a load, ratios of arms over rounds, and the tables."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import raw
from tests.bench.arms import OURS, Arm
from tests.bench.raw import Load

MEBIBYTE = 1 << 20
RESAMPLES = 2000
SETTLE_S = 2.5
"""Before catching up: beside producers ours holds readers back on purpose (`make bars BAR=catch_up` has that)."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one round of one arm took; throughputs are of record bytes."""

    produce_mib_per_s: float
    catch_up_mib_per_s: float
    tail_mib_per_s: float
    cpu_s_per_gib: float
    """Of the broker, for producing."""
    cpu_us_per_request: float
    rss_mib: float


def fdatasync_ms(directory: Path, times: int = 30) -> float:
    """Median milliseconds of a 4 KiB write and its fdatasync, in the directory the WAL uses."""
    took = []
    with (directory / "probe").open("wb", buffering=0) as file:
        for _ in range(times):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took)


def measure(arm: Arm, load: Load, number: int) -> Figure:
    """Produces, reads all of it back, and produces once more with a reader at the tail."""
    topic, tailed = (f"raw-{load.batch_bytes}-{load.partitions}-{number}{part}" for part in ("", "-tail"))
    for each in (topic, tailed):
        raw.make_topic(arm.address, each, load.partitions, arm.topic_settings)
    size = load.total_bytes
    before = arm.cpu_s()
    produce_s = raw.produce(arm.address, topic, load)
    cpu_s = arm.cpu_s() - before
    rss = arm.rss_bytes()
    time.sleep(SETTLE_S)
    catch_up_s = raw.consume(arm.address, topic, load)
    tail_s = raw.tail(arm.address, tailed, load)
    return Figure(
        produce_mib_per_s=size / MEBIBYTE / produce_s,
        catch_up_mib_per_s=size / MEBIBYTE / catch_up_s,
        tail_mib_per_s=size / MEBIBYTE / tail_s,
        cpu_s_per_gib=cpu_s / (size / 1024 / MEBIBYTE),
        cpu_us_per_request=1e6 * cpu_s / load.requests,
        rss_mib=max(rss, arm.rss_bytes()) / MEBIBYTE,
    )


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The median of the rounds' ratios and its 90 % bounds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, round by round; the bounds are the bootstrap's, seeded, so the same figures give the same."""
    each = [a / b for a, b in zip(ours, theirs, strict=True) if b > 0]
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(each, k=len(each))) for _ in range(RESAMPLES))
    return Ratio(low=medians[RESAMPLES // 20], median=statistics.median(each), high=medians[-RESAMPLES // 20])


def spread(values: Sequence[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(load: Load, figures: Mapping[str, Sequence[Figure]]) -> str:
    """Medians with their ranges; ratios with their 90 % bounds."""
    ours = figures[OURS]
    columns = ("arm", "produce MiB/s", "catch-up MiB/s", "tail MiB/s", "CPU s/GiB", "CPU us/request", "RSS MiB",
               "produce, ours over it", "CPU, ours over it")  # fmt: skip
    lines = [f"### {load.name}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, rows in figures.items():
        cells = (
            name,
            spread([row.produce_mib_per_s for row in rows]),
            spread([row.catch_up_mib_per_s for row in rows]),
            spread([row.tail_mib_per_s for row in rows]),
            spread([row.cpu_s_per_gib for row in rows]),
            spread([row.cpu_us_per_request for row in rows], 0),
            f"{max(row.rss_mib for row in rows):.0f}",
            str(ratio([row.produce_mib_per_s for row in ours], [row.produce_mib_per_s for row in rows])),
            str(ratio([row.cpu_s_per_gib for row in ours], [row.cpu_s_per_gib for row in rows])),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
