"""The demo service's series, made from a seed: what the PromQL compliance queries ask about.

Three instances, scraped every five seconds with a few milliseconds of jitter, each at its own phase. In it on purpose:
a restart (counters fall to zero without a gap), an outage of four minutes that ends in another restart, a metric that
comes and goes, values that are NaN, and stale markers wherever a series ends. Only `random()` is drawn from the
generator: its sequence is the same in every version of Python.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

START_MS = 1_700_000_000_000
EVERY_MS = 5_000
INSTANCES = ("demo.promlabs.com:10000", "demo.promlabs.com:10001", "demo.promlabs.com:10002")
JOB = "demo"
BOUNDS = ("0.0001", "0.00015", "0.000225", "0.0003375", "0.00050625", "0.000759375", "0.0011390625", "0.00170859375",
          "0.002562890625", "0.0038443359375", "0.00576650390625", "0.008649755859375", "0.0129746337890625",
          "0.01946195068359375", "0.029192926025390625", "0.04378938903808594", "0.06568408355712891",
          "0.09852612533569336", "+Inf")  # fmt: skip
"""Of the demo service's own histogram: each one and a half times the one before."""
CALLS = (
    ("GET", "/api/foo", "200", 4.0),
    ("GET", "/api/foo", "500", 0.1),
    ("GET", "/api/bar", "200", 2.0),
    ("GET", "/api/bar", "500", 0.2),
    ("GET", "/api/nonexistent", "404", 0.3),
    ("POST", "/api/foo", "200", 1.0),
    ("POST", "/api/foo", "500", 0.05),
    ("POST", "/api/bar", "200", 0.7),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Series:
    """One series, oldest sample first."""

    name: str
    labels: dict[str, str]
    """Without the name."""
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    stale: NDArray[np.bool_]
    """Where a marker says that the series ended."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scrapes:
    """When an instance was asked, whether it answered, and at which scrapes it had started anew."""

    times: NDArray[np.int64]
    up: NDArray[np.bool_]
    restarted: NDArray[np.bool_]


def make(seed: int, *, minutes: int = 120, calls: int = len(CALLS)) -> list[Series]:
    """All series of all instances; `calls` limits the histogram's series."""
    rng = random.Random(seed)
    found: list[Series] = []
    for number, instance in enumerate(INSTANCES):
        scrapes = _scrapes(rng, number, minutes)
        for name, labels, values, there in _instance(rng, scrapes, number, calls):
            found.append(_series(name, {**labels, "instance": instance, "job": JOB}, scrapes, values, there))
    return found


def _scrapes(rng: random.Random, instance: int, minutes: int) -> Scrapes:
    count = minutes * 60_000 // EVERY_MS
    jitter = np.array([int(rng.random() * 7) - 3 for _ in range(count)], dtype=np.int64)
    times = START_MS + np.arange(count, dtype=np.int64) * EVERY_MS + 1_237 * (instance + 1) + jitter
    up = np.ones(count, dtype=np.bool_)
    restarted = np.zeros(count, dtype=np.bool_)
    restarted[0] = True
    if instance == 0:
        restarted[int(count * 0.55)] = True
    if instance == 2:
        down = int(count * 0.62)
        up[down : down + min(48, count // 8)] = False
        restarted[down + min(48, count // 8)] = True
    return Scrapes(times=times, up=up, restarted=restarted)


def _series(
    name: str, labels: dict[str, str], scrapes: Scrapes, values: NDArray[np.float64], there: NDArray[np.bool_]
) -> Series:
    there = there & scrapes.up
    stale = np.zeros(len(there), dtype=np.bool_)
    stale[1:] = there[:-1] & ~there[1:]
    rows = there | stale
    return Series(name=name, labels=labels, times=scrapes.times[rows], values=values[rows], stale=stale[rows])


Made = tuple[str, dict[str, str], NDArray[np.float64], NDArray[np.bool_]]


def _instance(rng: random.Random, scrapes: Scrapes, number: int, calls: int) -> Iterator[Made]:
    count = len(scrapes.times)
    always = np.ones(count, dtype=np.bool_)
    minute = np.arange(count) * EVERY_MS / 60_000
    yield "demo_num_cpus", {}, np.full(count, 4.0), always
    yield "up", {}, np.ones(count), always
    for mode, share in (("idle", 3.0), ("system", 0.3), ("user", 0.7)):
        values = _counter(rng, scrapes, lambda share=share: share * 5 * (0.8 + 0.4 * rng.random()))
        yield "demo_cpu_usage_seconds_total", {"mode": mode}, values, always
    for kind, size in (("buffers", 0.3e9), ("cached", 2.1e9), ("free", 1.2e9), ("used", 3.9e9)):
        wave = 0.1 * np.sin(minute / (7 + number) + size)
        noise = np.array([rng.random() * 0.05 for _ in range(count)])
        values = np.floor(size * (1 + wave + noise))
        if kind == "cached" and number == 1:
            values[count // 3 : count // 3 + 20] = math.nan
        yield "demo_memory_usage_bytes", {"type": kind}, values, always
    total = 250e9
    growth = np.cumsum([rng.random() * 2e6 for _ in range(count)])
    yield "demo_disk_usage_bytes", {}, 50e9 + growth + 1e6 * np.sin(minute), always
    yield "demo_disk_total_bytes", {}, np.full(count, total), always
    yield from _batch(rng, scrapes)
    on = (minute.astype(np.int64) // 6 + number) % 3 != 0
    yield "demo_intermittent_metric", {}, np.floor(10 * np.abs(np.sin(minute / 3))), on
    for method, path, status, per_s in CALLS[:calls]:
        yield from _histogram(rng, scrapes, {"method": method, "path": path, "status": status}, per_s)


def _counter(rng: random.Random, scrapes: Scrapes, step: Callable[[], float]) -> NDArray[np.float64]:
    values = np.zeros(len(scrapes.times))
    now = 0.0
    for row, anew in enumerate(scrapes.restarted):
        now = step() * rng.random() if anew else now + step()
        values[row] = now
    return values


def _batch(rng: random.Random, scrapes: Scrapes) -> Iterator[Made]:
    last_run = last_success = scrapes.times[0] / 1000 - 30
    runs, successes = np.zeros(len(scrapes.times)), np.zeros(len(scrapes.times))
    for row, at in enumerate(scrapes.times):
        if at / 1000 - last_run > 55 + 10 * rng.random():
            last_run = at / 1000
            if rng.random() < 0.7:
                last_success = last_run
        runs[row], successes[row] = last_run, last_success
    always = np.ones(len(scrapes.times), dtype=np.bool_)
    yield "demo_batch_last_run_timestamp_seconds", {}, runs, always
    yield "demo_batch_last_success_timestamp_seconds", {}, successes, always


def _histogram(rng: random.Random, scrapes: Scrapes, labels: dict[str, str], per_s: float) -> Iterator[Made]:
    bounds = np.array([float(bound) for bound in BOUNDS])
    counts, total = np.zeros((len(scrapes.times), len(bounds))), np.zeros(len(scrapes.times))
    now, seconds = np.zeros(len(bounds)), 0.0
    for row, anew in enumerate(scrapes.restarted):
        if anew:
            now, seconds = np.zeros(len(bounds)), 0.0
        for _ in range(int(per_s * 5 * 2 * rng.random() + rng.random())):
            took = 0.004 * -math.log(1 - rng.random())
            now[int(np.searchsorted(bounds, took)) :] += 1
            seconds += took
        counts[row], total[row] = now, seconds
    always = np.ones(len(scrapes.times), dtype=np.bool_)
    name = "demo_api_request_duration_seconds"
    for place, bound in enumerate(BOUNDS):
        yield f"{name}_bucket", {**labels, "le": bound}, counts[:, place].copy(), always
    yield f"{name}_count", labels, counts[:, -1].copy(), always
    yield f"{name}_sum", labels, total, always
