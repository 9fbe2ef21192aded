"""`make promql`: the compliance queries, answered by this agent's store and engine and by a real Prometheus 2.42.

    python -m tests.promql.differential [--seed 1] [--minutes 120] [--roll-off]

Both hold the same two hours of the demo service, stale markers included. What differs, or what this engine does not do,
is named; the last line is the score. Exit 0 only when everything that Prometheus answers is equal within 1e-9 or
refused by name, and at least 95 % of it is equal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.model.clock import SystemClock
from agent.promql.engine import Engine
from agent.promql.errors import QueryError, Unsupported
from agent.promql.query import Settings
from agent.promql.stored import StoredSource
from agent.store.samples import SampleStore
from tests.promql import demo_service
from tests.promql.cases import Case, cases
from tests.promql.compare import difference
from tests.promql.prometheus import Prometheus, running
from tests.promql.store import fill

LEAST = 0.95
STEP_MS = 10_000


def main() -> int:
    """Runs it all."""
    options = argparse.ArgumentParser(prog="promql", description=__doc__.splitlines()[0])
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=int, default=120, help="of data; the second half is asked about")
    options.add_argument("--roll-off", action="store_true", help="ask the store's closed hours, not its hot tables")
    chosen = options.parse_args()
    series = demo_service.make(chosen.seed, minutes=chosen.minutes)
    samples = sum(len(each.times) for each in series)
    print(f"{len(series)} series, {samples} samples, seed {chosen.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="promql-") as name, running(Path(name)) as theirs:
        store = SampleStore(Path(name) / "agent", clock=SystemClock())
        try:
            theirs.load(series)
            fill(store, series)
            if chosen.roll_off:
                store.maintain(datetime.fromtimestamp(demo_service.START_MS / 1000, UTC) + timedelta(days=1))
            ours = Engine(source=StoredSource(store), clock=SystemClock(), settings=Settings(range_edge="closed"))
            return _verdict(_run(ours, theirs, chosen.minutes), chosen.seed)
        finally:
            store.close()


def _run(ours: Engine, theirs: Prometheus, minutes: int) -> Counter[str]:
    end = demo_service.START_MS + (minutes - 5) * 60_000
    start = end - minutes // 2 * 60_000
    found: Counter[str] = Counter()
    spent = {"agent": 0.0, "prometheus": 0.0}
    for case in cases():
        what, why = _compare(case, ours, theirs, start, end, spent)
        found[what] += 1
        if why:
            print(f"{what}: {case.query}\n    {why[:400]}")
    print(f"evaluation: agent {spent['agent']:.1f} s, prometheus {spent['prometheus']:.1f} s", file=sys.stderr)
    return found


def _compare(
    case: Case, ours: Engine, theirs: Prometheus, start: int, end: int, spent: dict[str, float]
) -> tuple[str, str]:
    began = time.monotonic()
    said = theirs.ask(
        "query_range", query=case.query, start=str(start / 1000), end=str(end / 1000), step=str(STEP_MS / 1000)
    )
    spent["prometheus"] += time.monotonic() - began
    began = time.monotonic()
    try:
        answer = ours.range(case.query, start, end, STEP_MS)
        failure: QueryError | None = None
    except QueryError as error:
        answer, failure = None, error
    spent["agent"] += time.monotonic() - began
    if said["status"] != "success":
        if failure is None:
            return "answered alone", f"Prometheus refused it: {said['error']}"
        return "refused by both", ""
    if case.should_fail:
        return "different", "Prometheus answered what it should refuse"
    if failure is not None:
        return "refused by name" if isinstance(failure, Unsupported) else "failed", str(failure)
    apart = difference(answer, said["data"])
    return ("different", apart) if apart else ("equal", "")


def _verdict(found: Counter[str], seed: int) -> int:
    answered = found["equal"] + found["different"] + found["failed"] + found["refused by name"]
    share = found["equal"] / max(answered, 1)
    wrong = found["different"] + found["failed"] + found["answered alone"]
    passed = not wrong and share >= LEAST
    parts = ", ".join(f"{number} {what}" for what, number in sorted(found.items()))
    print(f"{'PASS' if passed else 'FAIL'}: {100 * share:.2f} % of {answered} equal within 1e-9 ({parts}; seed {seed})")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
