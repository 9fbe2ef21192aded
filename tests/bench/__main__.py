"""`make bench`: our broker, Tansu in memory and Apache Kafka side by side in one run, as ratios.

    python -m tests.bench [--rounds 7] [--loads raw,latency,librdkafka,java] [--batches 16 900] [--arms ours,kafka] ...

Arms: `ours` (fdatasync before every ack), `ours-elsewhere` (the same, its objects in a memory file system instead of on
the WAL's disk), `tansu` (nothing on a disk), `kafka`: as shipped (it does not sync) and with `flush.messages=1` (equal
durability). The broker under test has one core, the load the others; arms alternate. Kafka lives as long as the run,
for its JVM to be warm; the others start anew for each load. fdatasync is timed before each round: one over twice the
idle median is void.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tests.bench import arms, java_perf, latency, librdkafka, rounds
from tests.bench.arms import Arm
from tests.bench.raw import Load
from tests.bench.tables import Column, table

Figure = TypeVar("Figure")
WARM_UP = 2
ARMS = ("ours", "ours-elsewhere", "tansu", "kafka")
LOADS = ("raw", "latency", "librdkafka", "java")
RAW = (
    Load(name="1 KiB batches, 1 partition", batch_bytes=1 << 10, partitions=1, together=1, requests=6000),
    Load(name="16 KiB batches, 1 partition", batch_bytes=16 << 10, partitions=1, together=1, requests=4000),
    Load(name="16 KiB batches, 16 partitions", batch_bytes=16 << 10, partitions=16, together=1, requests=4000),
    Load(name="900 KiB batches, 1 partition", batch_bytes=900 << 10, partitions=1, together=1, requests=160),
    Load(name="900 KiB batches, 16 partitions", batch_bytes=900 << 10, partitions=16, together=1, requests=160),
    Load(name="1 KiB batches, 128 partitions in each request", batch_bytes=1 << 10, partitions=128, together=128,
         requests=400),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how often is measured, and what."""

    directory: Path
    idle_ms: float
    rounds: int
    wanted: tuple[str, ...]
    lasting: tuple[Arm, ...]
    """Arms that run as long as the bench."""
    brokers_on: frozenset[int]
    load_on: frozenset[int]

    @contextmanager
    def arms(self) -> Iterator[list[Arm]]:
        """All of them, in the order of the tables; those that start anew are gone afterwards, with all they stored."""
        made = {"ours": arms.ours, "ours-elsewhere": arms.ours_elsewhere, "tansu": arms.tansu}
        with ExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.directory)))
            os.sched_setaffinity(0, self.brokers_on)  # what the arms inherit, threads included
            begun = [stack.enter_context(made[name](directory / name)) for name in made if name in self.wanted]
            os.sched_setaffinity(0, self.load_on)
            yield [*begun, *self.lasting]
        for arm in self.lasting[:1]:
            arms.clear(arm)

    def alternate(self, name: str, measure: Callable[[Arm, int], Figure]) -> Mapping[str, list[Figure]]:
        """Rounds in which every arm is measured, each beginning with the next arm; void rounds are left out, and so are
        those before the first, in which a JVM compiles what it will run.
        """
        with self.arms() as under_test:
            found: dict[str, list[Figure]] = {arm.name: [] for arm in under_test}
            for number in range(WARM_UP):
                for arm in under_test:
                    measure(arm, self.rounds + number)
            for number in range(self.rounds):
                if (now_ms := rounds.fdatasync_ms(self.directory)) > 2 * self.idle_ms:
                    print(f"round {number} of {name} is void: fdatasync {now_ms:.2f} ms", file=sys.stderr)
                    continue
                first = number % len(under_test)
                for arm in [*under_test[first:], *under_test[:first]]:
                    found[arm.name].append(measure(arm, number))
                    print(f"{name}: round {number}: {arm.name}: {found[arm.name][-1]}"[:300], file=sys.stderr)
            return found

    def tell(self, name: str, columns: Sequence[Column], measure: Callable[[Arm, int], Figure]) -> None:
        """The table of a load."""
        found = self.alternate(name, measure)
        print((table(name, columns, found) if all(found.values()) else f"{name}: every round was void") + "\n",
              flush=True)  # fmt: skip


def run(bench: Bench, asked: argparse.Namespace) -> None:
    """Every load that was asked for; its table as soon as it is there."""
    where = "on one core" if bench.brokers_on != bench.load_on else "and load share all cores"
    print(f"fdatasync, idle: {bench.idle_ms:.2f} ms; {bench.rounds} alternating rounds; broker {where}\n", flush=True)
    kinds = asked.loads.split(",")
    picked = [load for load in RAW if not asked.batches or load.batch_bytes >> 10 in asked.batches]
    for load in picked if "raw" in kinds else ():
        part = replace(load, requests=max(int(load.requests * asked.part), 2))
        bench.tell(
            f"{load.name}, raw", rounds.COLUMNS, lambda arm, number, part=part: rounds.measure(arm, part, number)
        )
    if "latency" in kinds:
        _latencies(bench, asked.picture)
    applied = [load for load in librdkafka.LOADS if not asked.batches or load.batch_bytes >> 10 in asked.batches]
    for kind, module in (("librdkafka", librdkafka), ("java", java_perf)):
        for load in applied if kind in kinds else ():
            each = replace(load, total_bytes=max(int(load.total_bytes * asked.part) >> 20, 1) << 20)
            bench.tell(f"{load.name}, {kind}", module.COLUMNS,
                       lambda arm, number, each=each, module=module: module.measure(arm, each, number))  # fmt: skip


def _latencies(bench: Bench, picture: Path | None) -> None:
    took = {}
    for rate in latency.RATES:
        by_arm = bench.alternate(f"{rate}/s", lambda arm, number, rate=rate: latency.measure(arm, rate, number))
        took |= {(name, rate): [ms for each in every for ms in each] for name, every in by_arm.items() if every}
    print("### 16 KiB batches at a fixed rate\n\n" + latency.table(took) + "\n", flush=True)
    if picture and took:
        latency.picture(took, picture)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--batches", type=int, nargs="*", help="loads of these KiB only: 1, 16, 900")
    parser.add_argument("--unpinned", action="store_true", help="let brokers and load share all cores")
    parser.add_argument(
        "--part", type=float, default=1.0, help="this part of each load but latency: 0.02 shows it works"
    )
    parser.add_argument("--picture", type=Path, help="where the picture of the latencies goes, an SVG")
    asked = parser.parse_args()
    wanted = tuple(asked.arms.split(","))
    for names, known in ((wanted, ARMS), (asked.loads.split(","), LOADS)):
        if unknown := set(names) - set(known):
            parser.error(f"{sorted(unknown)[0]!r} is unknown: there are {', '.join(known)}")
    if "ours-elsewhere" in wanted and (why := arms.no_elsewhere()):
        print(why, file=sys.stderr)
        wanted = tuple(name for name in wanted if name != "ours-elsewhere")
    cores = sorted(os.sched_getaffinity(0))
    brokers_on, load_on = (cores, cores) if asked.unpinned else (cores[:1], cores[1:] or cores)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streampilot-bench-")))
        os.sched_setaffinity(0, brokers_on)
        lasting = stack.enter_context(arms.apache_kafka(directory / "kafka")) if "kafka" in wanted else ()
        run(Bench(directory=directory, idle_ms=rounds.fdatasync_ms(directory), rounds=asked.rounds, wanted=wanted,
                  lasting=lasting, brokers_on=frozenset(brokers_on), load_on=frozenset(load_on)), asked)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
