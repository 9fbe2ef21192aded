"""`make chaos`: a cluster of three under everything that can go wrong, and a checker that believes nobody.

For each cell (which metadata store, which object store, which WAL) a cluster is started and lives through ROUNDS rounds
of SECONDS_EACH seconds: kill -9, SIGSTOP beyond the session and SIGCONT, drains, moves, a full disk, and a store that
refuses, times out after the fact, truncates, lists stale and vanishes. Real clients write unique values and poll all
the while. After each round everything is put right, what is new is read back, and the verdict is added up; at the end
of a cell everything is read once more from the beginning, and garbage must be gone.

A fault whose effect was not seen does not count. Each round has a seed of its own, printed, and can be replayed alone.
The last line is the verdict; exit 0 only when it is CLEAN.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.chaos.audit import audit
from tests.chaos.cells import CELLS, COLLECTED_S, SHORT, Cell, Cluster, Ground
from tests.chaos.checker import check
from tests.chaos.faults import Profile, schedule
from tests.chaos.history import Anomalies
from tests.chaos.injector import Injector
from tests.chaos.launch import Manner
from tests.chaos.places import PARTITIONS, TOPICS
from tests.chaos.scenarios import run_scenarios
from tests.chaos.workload import Workload, wait_until
from tests.faults.brokers import DidNotStart

PER_S = 3_000.0
"""Offered, so that 2,000 acknowledgements a second remain on average, outages included."""
LEAST_PER_S = 2_000.0
LEAST = {"kills in flight": 20, "ambiguous PUTs": 10, "zombies resumed": 10}
"""Of a full run of one cell: 20 rounds of 60 s. Shorter runs owe their share."""
FULL_RUN_S = 1_200.0
FLAGS = ("--upload-interval", "1", "--wal-size", "64MiB")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do with one cell."""

    cell: Cell
    rounds: int
    seconds_each: float
    seed: int
    profile: Profile = field(default_factory=Profile)
    per_s: float = PER_S
    manner: Manner = field(default_factory=lambda: Manner(board="", logs=SHORT))
    plant: str = ""
    strict: bool = False
    collect: bool = True
    """Wait at the end until garbage must be gone."""

    @property
    def replay(self) -> str:
        return f"make chaos CELL={self.cell.name} ROUNDS=1 SECONDS_EACH={self.seconds_each:g}"


@dataclass(kw_only=True)
class Outcome:
    """What came of one cell."""

    cell: str
    anomalies: Anomalies
    tally: Counter[str] = field(default_factory=Counter)
    acked: int = 0
    busy_s: float = 0.0
    """Of the rounds, without what is between them."""
    orphans: int = 0
    missing: int = 0

    @property
    def clean(self) -> bool:
        return not len(self.anomalies) and not self.orphans and not self.missing

    @property
    def per_s(self) -> float:
        return self.acked / self.busy_s if self.busy_s else 0.0

    def too_few(self) -> list[str]:
        """What was not injected often enough, or not at speed, for the result to mean what it should."""
        share = min(self.busy_s / FULL_RUN_S, 1.0)
        few = [
            f"{kind} {self.tally[kind]} of {int(n * share)}"
            for kind, n in LEAST.items()
            if self.tally[kind] < int(n * share)
        ]
        if self.per_s < LEAST_PER_S:
            few.append(f"{self.per_s:,.0f} acks/s of {LEAST_PER_S:,.0f}")
        return few


class CellRun:
    """One cell from its first start to its last count."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan, self._directory = plan, directory
        self.ground = Ground(plan.cell, directory, plan.seed)
        self.cluster = Cluster(self.ground, plan.manner, plant=plan.plant, flags=FLAGS)
        self._failed_at: list[int] = []

    def run(self) -> Outcome:
        """All rounds. DidNotStart when not even the beginning was possible."""
        try:
            self.cluster.start()
            make_topics(self.cluster.bootstrap)
            workload = Workload(self.cluster.bootstrap, self._plan.per_s)
            outcome = Outcome(cell=self._plan.cell.name, anomalies=workload.history.anomalies)
            workload.start()
            try:
                self._rounds(workload, outcome)
            finally:
                workload.end()
            return outcome
        finally:
            self.cluster.stop()
            self.ground.stop()

    def _rounds(self, workload: Workload, outcome: Outcome) -> None:
        plan = self._plan
        anomalies, calm = outcome.anomalies, plan.profile.always
        injector = Injector(self.cluster, workload, anomalies, strict=plan.strict, calm=calm)
        for number in range(plan.rounds):
            seed, begun, acked, had = plan.seed + number, time.monotonic(), outcome.acked, len(outcome.anomalies)
            workload.resume()
            injector.play(schedule(seed, plan.seconds_each, plan.profile), plan.seconds_each)
            lasted = time.monotonic() - begun
            outcome.acked, outcome.busy_s = workload.history.acked, outcome.busy_s + lasted
            workload.settle()
            check(workload.history)
            self._count(injector, outcome)
            self._tell(number, seed, outcome, (outcome.acked - acked) / lasted, time.monotonic() - begun - lasted)
            if len(outcome.anomalies) > had:
                print("\n".join(f"ANOMALY {anomaly}" for anomaly in outcome.anomalies), flush=True)
                print(f"replay: {plan.replay} SEED={seed}   kept: {self._directory}", flush=True)
        self._finish(workload, outcome)

    def _count(self, injector: Injector, outcome: Outcome) -> None:
        seen = self.cluster.seen()
        outcome.tally = Counter(injector.tally)
        outcome.tally.update({"ambiguous PUTs": seen.observed["ambiguous"]})
        outcome.tally.update({f"store {kind}": count for kind, count in seen.observed.items() if kind != "ambiguous"})
        found = audit(self.ground.metadata_url, self.ground.objects_url(), self.ground.environment(faulty=False))
        if found.missing:
            outcome.missing = len(found.missing)
            outcome.anomalies.add("missing object", f"{len(found.missing)} are gone, such as {found.missing[0]}")

    def _finish(self, workload: Workload, outcome: Outcome) -> None:
        """Everything once more from the beginning, and what is garbage must be gone in time."""
        workload.read_back(from_start=True)
        had = len(outcome.anomalies)
        if not had:
            check(workload.history)
        if self._plan.collect:
            self._collect(outcome)

    def _collect(self, outcome: Outcome) -> None:
        def orphans() -> tuple[str, ...]:
            environment = self.ground.environment(faulty=False)
            return audit(self.ground.metadata_url, self.ground.objects_url(), environment).orphans

        wait_until(lambda: not orphans(), COLLECTED_S, 2.0)
        if left := orphans():
            outcome.orphans = len(left)
            outcome.anomalies.add("orphan", f"{len(left)} objects after {COLLECTED_S:g} s, such as {left[0]}")

    def _tell(self, number: int, seed: int, outcome: Outcome, per_s: float, pause_s: float) -> None:
        word = "clean" if outcome.clean else f"{len(outcome.anomalies)} ANOMALIES"
        what = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.tally.items()) if count)
        print(
            f"{outcome.cell} round {number + 1}/{self._plan.rounds} seed {seed}: {per_s:,.0f} acks/s, {word}"
            f" ({pause_s:.1f} s between) so far: {what}",
            flush=True,
        )


def make_topics(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
        future.result(20)


def run_cell(plan: Plan, directory: Path) -> Outcome:
    """One cell; a cluster that never started is an anomaly too."""
    try:
        return CellRun(plan, directory).run()
    except DidNotStart as error:
        outcome = Outcome(cell=plan.cell.name, anomalies=Anomalies())
        outcome.anomalies.add("does not start", str(error))
        return outcome


def report(outcomes: Sequence[Outcome]) -> str:
    """A table, the anomalies, and the verdict as the last line."""
    kinds = (*LEAST, "moves", "drains")
    ends = ("anomalies", "orphans", "missing")
    lines = ["", f"{'cell':20}{'acks':>12}{'acks/s':>9}" + "".join(f"{name:>17}" for name in (*kinds, *ends))]
    for one in outcomes:
        numbers = [*(one.tally[kind] for kind in kinds), len(one.anomalies), one.orphans, one.missing]
        lines.append(f"{one.cell:20}{one.acked:>12,}{one.per_s:>9,.0f}" + "".join(f"{n:>17,}" for n in numbers))
    for one in outcomes:
        lines += [f"ANOMALY {one.cell}: {anomaly}" for anomaly in one.anomalies]
        lines += [f"TOO FEW {one.cell}: {few}" for few in one.too_few()]
    lines.append(verdict(outcomes))
    return "\n".join(lines)


def verdict(outcomes: Sequence[Outcome]) -> str:
    cells, acked = len(outcomes), sum(one.acked for one in outcomes)
    if not all(one.clean for one in outcomes):
        return f"NOT CLEAN: {sum(len(one.anomalies) for one in outcomes)} anomalies in {cells} cells"
    if any(one.too_few() for one in outcomes):
        return f"TOO FEW FAULTS: 0 anomalies in {cells} cells, {acked:,} acknowledged, but see above"
    return f"CLEAN: {cells} cells, {acked:,} acknowledged, 0 anomalies, 0 orphans, 0 missing"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds-each", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run; random when left out")
    parser.add_argument("--cell", choices=sorted(CELLS), action="append", help="only this one; repeatable")
    parser.add_argument("--no-scenarios", action="store_true", help="only the rounds")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    outcomes, begun = [], time.monotonic()
    for name in given.cell or list(CELLS):
        directory = Path(tempfile.mkdtemp(prefix=f"streampilot-chaos-{name}-"))
        print(f"{name}: seed {seed}, {given.rounds} rounds of {given.seconds_each:g} s, {directory}", flush=True)
        plan = Plan(cell=CELLS[name], rounds=given.rounds, seconds_each=given.seconds_each, seed=seed)
        outcomes.append(run_cell(plan, directory))
        if not given.no_scenarios:
            run_scenarios(name, directory / "scenarios", outcomes[-1].anomalies)
        if outcomes[-1].clean and not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    used = resource.getrusage(resource.RUSAGE_SELF)
    share = (used.ru_utime + used.ru_stime) / (time.monotonic() - begun)
    print(f"the harness used {share:.0%} of a core", flush=True)
    print(report(outcomes), flush=True)
    return 0 if verdict(outcomes).startswith("CLEAN") else 1


if __name__ == "__main__":
    sys.exit(main())
