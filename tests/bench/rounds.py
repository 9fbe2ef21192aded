"""One measured round of an arm under a raw load."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import raw
from tests.bench.arms import MEBIBYTE, Arm
from tests.bench.raw import Load
from tests.bench.tables import Column

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


COLUMNS = (
    Column(title="produce MiB/s", of=lambda row: row.produce_mib_per_s, over="produce"),
    Column(title="catch-up MiB/s", of=lambda row: row.catch_up_mib_per_s),
    Column(title="tail MiB/s", of=lambda row: row.tail_mib_per_s),
    Column(title="CPU s/GiB", of=lambda row: row.cpu_s_per_gib, over="CPU"),
    Column(title="CPU us/request", of=lambda row: row.cpu_us_per_request, digits=0),
    Column(title="RSS MiB", of=lambda row: row.rss_mib, most=True),
)


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
