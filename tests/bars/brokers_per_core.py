"""What a core does when it is shared by more brokers: `python -m tests.bars.brokers_per_core [--rounds N] [--part P]`.

Clusters of one, two and three brokers, all on one core, the load on another; each broker has two connections of its own
with four requests of 16 KiB under way, to partitions that it leads, and syncs before each acknowledgement. Rounds
alternate between the clusters. Where the core is always busy, throughput per core is bytes per CPU second of all
brokers: the median of the rounds' ratios to the single broker's must be at least 0.8 for two and for three. The wall's
throughput is told beside it. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, usage
from tests.bench import raw
from tests.bench.arms import MEBIBYTE
from tests.bench.tables import ratio, spread
from tests.cores import apart

COUNTS = (1, 2, 3)
EACH = 4
"""Partitions of each broker."""
REQUESTS = 4000
LEAST = 0.8


@dataclass(frozen=True, kw_only=True)
class Round:
    mib_per_s: float
    mib_per_cpu_s: float
    busy: float
    """Share of the core that all brokers had."""


def led(cluster: Cluster, topic: str) -> dict[int, list[int]]:
    """Partitions of a new topic by who leads them, as many for each broker."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    brokers = list(cluster.ports)
    placed = [[brokers[number % len(brokers)]] for number in range(EACH * len(brokers))]
    admin.create_topics([NewTopic(topic, len(placed), replica_assignment=placed)])[topic].result(30)
    return {broker: [index for index, at in enumerate(placed) if at == [broker]] for broker in brokers}


def one_round(cluster: Cluster, number: int, requests: int) -> Round:
    topic = f"round-{number}"
    load = raw.Load(name=topic, batch_bytes=16 << 10, partitions=EACH, together=1, requests=requests)
    faults: list[BaseException] = []

    def work(broker: int, indexes: list[int]) -> None:
        try:
            raw.produce(("127.0.0.1", cluster.ports[broker]), topic, load, indexes=indexes)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=each) for each in led(cluster, topic).items()]
    cpu_s = sum(usage(pid).cpu_s for pid in cluster.pids.values())
    began = time.monotonic()
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    took = time.monotonic() - began
    cpu_s = sum(usage(pid).cpu_s for pid in cluster.pids.values()) - cpu_s
    if faults:
        raise faults[0]
    mib = load.total_bytes * len(cluster.ports) / MEBIBYTE
    return Round(mib_per_s=mib / took, mib_per_cpu_s=mib / cpu_s, busy=cpu_s / took)


def run(directory: Path, *, rounds: int, requests: int) -> list[str]:
    """What was not kept."""
    found: dict[int, list[Round]] = {count: [] for count in COUNTS}
    with contextlib.ExitStack() as stack, apart() as leave_the_core:
        clusters = {}
        for count in COUNTS:
            (home := directory / str(count)).mkdir()
            clusters[count] = Cluster(home, count, flags=("--no-bill",))
            stack.callback(clusters[count].stop)
            clusters[count].start()
        leave_the_core()
        for number in range(rounds + 1):
            for count in COUNTS[number % len(COUNTS) :] + COUNTS[: number % len(COUNTS)]:
                figure = one_round(clusters[count], number, requests // count)
                print(f"round {number}: {count}: {figure}", file=sys.stderr, flush=True)
                found[count] += [figure] if number else []  # the first one warms up
    return judge(found)


def judge(found: dict[int, list[Round]]) -> list[str]:
    faults = []
    alone = [each.mib_per_cpu_s for each in found[1]]
    for count, rows in found.items():
        over = ratio([each.mib_per_cpu_s for each in rows], alone)
        print(
            f"{count} on one core: {spread([each.mib_per_cpu_s for each in rows])} MiB per CPU second, {over} of what"
            f" one does; {spread([each.mib_per_s for each in rows])} MiB/s by the clock, the core busy with them"
            f" {100 * statistics.median(each.busy for each in rows):.0f} % of it"
        )
        if over.median < LEAST:
            faults.append(f"{count} brokers do {over.median:.2f} of what one does with a core: {LEAST} were promised")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--part", type=float, default=1.0, help="this part of the load: 0.1 shows that it works")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="streampilot-per-core-") as directory:
        faults = run(Path(directory), rounds=given.rounds, requests=int(REQUESTS * given.part))
    for fault in faults:
        print(f"FAULT {fault}")
    print("NOT CLEAN" if faults else "CLEAN: a core does as much for three brokers as for one", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
