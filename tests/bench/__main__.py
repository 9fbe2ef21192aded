"""`make bench`: our broker, Tansu in memory and Apache Kafka side by side in one run, as ratios.

    python -m tests.bench [--rounds 7] [--loads raw,latency,librdkafka] [--batches 16 900] [--arms ours,tansu,kafka] ...

Arms: ours (fdatasync before every ack), Tansu (nothing on a disk), Apache Kafka as shipped (it does not sync) and with
`flush.messages=1` (equal durability). The broker under test has one core, the load the others; arms alternate.
fdatasync is timed before each round: one over twice the idle median is void.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tests.bench import arms, latency, librdkafka, rounds
from tests.bench.arms import Arm
from tests.bench.raw import Load

Figure = TypeVar("Figure")
WARM_UP = 2
RAW = (
    Load(name="1 KiB batches, 1 partition", batch_bytes=1 << 10, partitions=1, together=1, requests=6000),
    Load(name="16 KiB batches, 1 partition", batch_bytes=16 << 10, partitions=1, together=1, requests=4000),
    Load(name="16 KiB batches, 16 partitions", batch_bytes=16 << 10, partitions=16, together=1, requests=4000),
    Load(name="900 KiB batches, 1 partition", batch_bytes=900 << 10, partitions=1, together=1, requests=160),
    Load(name="900 KiB batches, 16 partitions", batch_bytes=900 << 10, partitions=16, together=1, requests=160),
    Load(name="1 KiB batches, 128 partitions in each request", batch_bytes=1 << 10, partitions=128, together=128,
         requests=400),
)  # fmt: skip


def alternate(
    directory: Path, idle_ms: float, count: int, under_test: Sequence[Arm], name: str,
    measure: Callable[[Arm, int], Figure],
) -> Mapping[str, list[Figure]]:  # fmt: skip
    """`count` rounds in which every arm is measured, each beginning with the next arm; void rounds are left out, and so
    are those before the first, in which a JVM compiles what it will run.
    """
    found: dict[str, list[Figure]] = {arm.name: [] for arm in under_test}
    for number in range(WARM_UP):
        for arm in under_test:
            measure(arm, count + number)
    for number in range(count):
        if (now_ms := rounds.fdatasync_ms(directory)) > 2 * idle_ms:
            print(f"round {number} of {name} is void: fdatasync {now_ms:.2f} ms", file=sys.stderr)
            continue
        first = number % len(under_test)
        for arm in [*under_test[first:], *under_test[:first]]:
            found[arm.name].append(measure(arm, number))
            print(f"{name}: round {number}: {arm.name}: {found[arm.name][-1]}"[:300], file=sys.stderr)
    return found


def run(directory: Path, asked: argparse.Namespace, under_test: Sequence[Arm]) -> None:
    """Every load that was asked for; its table as soon as it is there."""
    idle_ms = rounds.fdatasync_ms(directory)
    print(f"fdatasync, idle: {idle_ms:.2f} ms; {asked.rounds} alternating rounds; broker on one core\n")
    kinds = asked.loads.split(",")
    raw = [load for load in RAW if not asked.batches or load.batch_bytes >> 10 in asked.batches]
    for load in raw if "raw" in kinds else ():
        found = alternate(directory, idle_ms, asked.rounds, under_test, load.name,
                          lambda arm, number, load=load: rounds.measure(arm, load, number))  # type: ignore[misc]  # fmt: skip
        if all(found.values()):
            print(rounds.table(load, found) + "\n", flush=True)
    if "latency" in kinds:
        took = {}
        for rate in latency.RATES:
            by_arm = alternate(directory, idle_ms, asked.rounds, under_test, f"{rate}/s",
                               lambda arm, number, rate=rate: latency.measure(arm, rate, number))  # type: ignore[misc]  # fmt: skip
            took |= {(name, rate): [ms for each in every for ms in each] for name, every in by_arm.items() if every}
        print("### 16 KiB batches at a fixed rate\n\n" + latency.table(took) + "\n", flush=True)
        if asked.picture and took:
            latency.picture(took, asked.picture)
    for each in librdkafka.LOADS if "librdkafka" in kinds else ():
        seen = alternate(directory, idle_ms, asked.rounds, under_test, each.name,
                         lambda arm, number, each=each: librdkafka.measure(arm, each, number))  # type: ignore[misc]  # fmt: skip
        if all(seen.values()):
            print(librdkafka.table(each, dict(seen)) + "\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loads", default="raw,latency,librdkafka")
    parser.add_argument("--arms", default="ours,tansu,kafka")
    parser.add_argument("--batches", type=int, nargs="*", help="raw loads of these KiB only: 1, 16, 900")
    parser.add_argument("--unpinned", action="store_true", help="let brokers and load share all cores")
    parser.add_argument("--picture", type=Path, help="where the picture of the latencies goes, an SVG")
    asked = parser.parse_args()
    wanted = asked.arms.split(",")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streampilot-bench-")))
        cores = sorted(os.sched_getaffinity(0))
        if not asked.unpinned:
            os.sched_setaffinity(0, cores[:1])  # what the arms inherit, threads included
        under_test = [stack.enter_context(arms.ours(directory / "ours"))]
        if "tansu" in wanted:
            under_test.append(stack.enter_context(arms.tansu(directory / "tansu")))
        if "kafka" in wanted:
            under_test += stack.enter_context(arms.apache_kafka(directory / "kafka"))
        os.sched_setaffinity(0, cores if asked.unpinned else cores[1:] or cores)
        run(directory, asked, under_test)
    return 0


if __name__ == "__main__":
    sys.exit(main())
