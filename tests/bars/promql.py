"""`python -m tests.bars.promql`: three queries on 57.6 million samples, 10,000 counters over 24 h at 15 s.

A thousand topics of ten series, written through the store a scrape at a time and rolled off hour by hour as a running
agent does. Then each query five times through the engine, its answer made into JSON; the figure is the median. With
`--beside` a real Prometheus (Debian's) gets the same samples by remote write and the same queries over loopback HTTP.
The last line is the verdict; exit 0 when all three bars hold.

    --hours 24 --series 10000    less, for a quicker look; the bars are of the whole
    --beside                     Prometheus too; loading it takes many minutes
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from agent.model.clock import HandClock, SystemClock
from agent.promql.engine import Engine
from agent.promql.query import Settings
from agent.promql.stored import StoredSource
from agent.store.batch import Batch
from agent.store.samples import SampleStore
from tests.promql.prometheus import Prometheus, running
from tests.promql.remote_write import grid_body

START = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
EVERY_S, PER_TOPIC, RUNS = 15, 10, 5
STEP_MS = 300_000


@dataclass(frozen=True, kw_only=True)
class Question:
    what: str
    query: str
    whole: bool
    """Over the whole time, not at one instant."""
    bar_ms: float


QUESTIONS = (
    Question(what="instant rate by topic", query="sum by (topic) (rate(b[5m]))", whole=False, bar_ms=50),
    Question(what="one topic, whole range", query='sum(rate(b{topic="t7"}[5m]))', whole=True, bar_ms=60),
    Question(what="all series, whole range", query="sum(rate(b[5m]))", whole=True, bar_ms=500),
)


def values(hour: int, series: int) -> np.ndarray:
    """(scrape, series) of an hour: counters of steady, different slopes, the same in every run."""
    rng = np.random.default_rng([1, hour])
    slope = 1_000.0 + np.arange(series) % 997
    scrapes = hour * 3600 // EVERY_S + np.arange(3600 // EVERY_S)
    return np.floor(scrapes[:, None] * slope + rng.random((len(scrapes), series)) * 500)


def fill(store: SampleStore, clock: HandClock, hours: int, series: int) -> float:
    """Writes it all and rolls closed hours off; samples a second."""
    ids = np.array(
        [store.series_id("bar", f"b{n % PER_TOPIC}", "b", (("topic", f"t{n // PER_TOPIC}"),)) for n in range(series)],
        dtype=np.int32,
    )
    began = time.monotonic()
    for hour in range(hours):
        for row, scrape in enumerate(values(hour, series)):
            at = START + timedelta(hours=hour, seconds=row * EVERY_S)
            if not store.write(Batch(at=at, series=ids, values=scrape)):
                raise SystemExit(f"the store dropped a round: {store.said[-1]}")
        clock.wind(3600)
        if hour + 1 < hours:
            store.maintain(START + timedelta(hours=hour + 1))
        print(f"hour {hour + 1} of {hours}", file=sys.stderr)
    return hours * 3600 / EVERY_S * series / (time.monotonic() - began)


def load(theirs: Prometheus, hours: int, series: int) -> None:
    """The same for Prometheus, five minutes at a time."""
    labels = [
        {"__name__": "b", "cluster": "bar", "instance": f"b{n % PER_TOPIC}", "topic": f"t{n // PER_TOPIC}"}
        for n in range(series)
    ]
    for hour in range(hours):
        times = START_MS + hour * 3_600_000 + np.arange(3600 // EVERY_S, dtype=np.int64) * EVERY_S * 1000
        made = values(hour, series)
        for first in range(0, len(times), 20):
            theirs.take(grid_body(labels, times[first : first + 20], made[first : first + 20]))
        print(f"prometheus: hour {hour + 1} of {hours}", file=sys.stderr)


def median_ms(work: Callable[[], object], cpu_s: Callable[[], float]) -> tuple[float, float]:
    """The median of wall time and the mean of `cpu_s`, of five runs after one that is not counted."""
    work()
    wall, began_cpu = [], cpu_s()
    for _ in range(RUNS):
        began = time.monotonic()
        work()
        wall.append((time.monotonic() - began) * 1000)
    return statistics.median(wall), (cpu_s() - began_cpu) * 1000 / RUNS


def ask_ours(engine: Engine, question: Question, end_ms: int) -> object:
    """Through the engine, and made into JSON."""
    if question.whole:
        return json.dumps(engine.range(question.query, START_MS + STEP_MS, end_ms, STEP_MS))
    return json.dumps(engine.instant(question.query, end_ms))


def ask_theirs(theirs: Prometheus, question: Question, end_ms: int) -> object:
    """Over loopback; an error is a figure too, so it is raised."""
    end = str(end_ms / 1000)
    if question.whole:
        start = str((START_MS + STEP_MS) / 1000)
        said = theirs.ask("query_range", query=question.query, start=start, end=end, step=str(STEP_MS / 1000))
    else:
        said = theirs.ask("query", query=question.query, time=end)
    if said["status"] != "success":
        raise SystemExit(f"prometheus: {said['error']}")
    return said


def run(hours: int, series: int, directory: Path, *, beside: bool) -> bool:
    """One table, one verdict."""
    clock = HandClock(START)
    store = SampleStore(directory / "agent", clock=clock)
    end_ms = START_MS + hours * 3_600_000 - EVERY_S * 1000
    try:
        per_s = fill(store, clock, hours, series)
        print(f"{hours * 3600 // EVERY_S * series:,} samples, written at {per_s:,.0f} a second", file=sys.stderr)
        engine = Engine(source=StoredSource(store), clock=SystemClock(), settings=Settings())
        ours = {
            each.what: median_ms(lambda each=each: ask_ours(engine, each, end_ms), time.process_time)
            for each in QUESTIONS
        }
    finally:
        store.close()
    theirs: dict[str, tuple[float, float]] = {}
    if beside:
        with running(directory, "--query.max-samples=100000000") as prometheus:
            load(prometheus, hours, series)
            theirs = {
                each.what: median_ms(lambda each=each: ask_theirs(prometheus, each, end_ms), prometheus.cpu_s)
                for each in QUESTIONS
            }
    met = True
    for each in QUESTIONS:
        wall, cpu = ours[each.what]
        met &= wall <= each.bar_ms
        other = ", prometheus {:,.1f} ms, {:,.1f} ms of CPU".format(*theirs[each.what]) if theirs else ""
        print(f"{each.what:26} {wall:9.1f} ms, {cpu:.1f} ms of CPU (bar {each.bar_ms:g} ms){other}")
    return met


def main() -> int:
    """The bar."""
    options = argparse.ArgumentParser(prog="promql", description=__doc__.splitlines()[0])
    options.add_argument("--hours", type=int, default=24)
    options.add_argument("--series", type=int, default=10_000)
    options.add_argument("--beside", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bar-promql-") as name:
        met = run(chosen.hours, chosen.series, Path(name), beside=chosen.beside)
    print("PASS" if met else "FAIL")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
