"""The spot bar: from a cloud's notice until the last partition of that broker is led elsewhere, at most 20 s.

`python -m tests.bars.spot [--clouds aws gcp azure alibaba url] [--partitions 100] [--rate-mb 5]`. Three real broker
processes, with that many partitions each, and a producer under way; a loopback HTTP server speaks each cloud's metadata
service as documented. For each cloud in turn broker 1 is told that its machine goes, and asked of another broker is
when it leads nothing any more; then it is watched that nothing comes back, and the notice is taken back. Told beside
it: the longest silence of a producer at 100 Hz on one of the partitions. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster
from tests.bars.drain import admin_call, owned
from tests.bars.load import Flow
from tests.bars.moves import Probe
from tests.broker.spot.clouds import Clouds, wait_until
from tests.faults.brokers import DidNotStart

BAR_S = 20.0
WARM_S = 3.0
HELD_S = 8.0
"""For which nothing may come back: longer than all intervals of the brokers among themselves."""
SOURCES = ("aws", "gcp", "azure", "alibaba", "url")
DOOMED, OTHER = 1, 0


def prepare(cluster: Cluster, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    load = NewTopic("load", 3 * partitions, replica_assignment=[[n % 3] for n in range(3 * partitions)])
    probe = NewTopic("probe", 1, replica_assignment=[[DOOMED]])
    for future in admin.create_topics([load, probe], operation_timeout=60).values():
        future.result(90)


def take(cluster: Cluster, clouds: Clouds, probe: Probe) -> tuple[list[str], float]:
    """Faults, and the seconds from the notice until broker 1 leads nothing."""
    had = owned(cluster, OTHER, DOOMED)
    faults = [] if had else ["the broker led nothing when the notice came"]
    began = time.monotonic()
    clouds.take(DOOMED)
    taken_s = wait_until(lambda: owned(cluster, OTHER, DOOMED) == 0, "it leads nothing", 3 * BAR_S)
    ended = time.monotonic()
    over = time.monotonic() + HELD_S
    while time.monotonic() < over:
        if back := owned(cluster, OTHER, DOOMED):
            faults.append(f"{back} partitions came back to a broker that is to go")
            break
        time.sleep(0.25)
    gap_ms = probe.longest_gap(began, ended + 0.5) * 1000
    print(
        f"{clouds.cloud}: {had} partitions in {taken_s:.2f} s, longest silence of the probe {gap_ms:.0f} ms", flush=True
    )
    return faults, taken_s


def give_back(cluster: Cluster, clouds: Clouds) -> None:
    """The notice is withdrawn, and broker 1 may have partitions again."""
    clouds.spare(DOOMED)

    def is_free() -> bool:
        brokers = admin_call(cluster.http[OTHER], "/admin/v1/brokers")["brokers"]
        return not next(each["cordoned"] for each in brokers if each["id"] == DOOMED)

    wait_until(is_free, "it takes partitions again")


def one_cloud(source: str, partitions: int, rate_mb: float, directory: Path, clouds: Clouds) -> tuple[list[str], float]:
    clouds.cloud = source
    notices = f"{'' if source == 'url' else f'{source}='}{clouds.address}/{{id}}"
    cluster = Cluster(directory, flags=("--no-bill", "--spot-notices", notices))
    try:
        cluster.start()
        prepare(cluster, partitions)
        probe = Probe(cluster.bootstrap)
        flow = Flow(cluster.bootstrap, "load", 3 * partitions, rate_mb)
        probe.start()
        try:
            time.sleep(WARM_S)
            faults, seconds = take(cluster, clouds, probe)
            give_back(cluster, clouds)
        finally:
            probe.stop()
            done = flow.stop()
    finally:
        cluster.stop()
        clouds.taken.clear()
    faults += [f"an error reached the probe: {error}" for error in probe.errors[:1]]
    if lost := done["sent"] - done["acked"]:
        faults.append(f"{lost} records of the load were not acknowledged, {done['failed']} of them failed")
    print(f"{source}, load: {done}")
    return [f"{source}: {fault}" for fault in faults], seconds


def run(sources: Sequence[str], partitions: int, rate_mb: float, directory: Path) -> bool:
    """The whole bar; whether it holds."""
    clouds = Clouds()
    faults: list[str] = []
    worst_s = 0.0
    try:
        for source in sources:
            (directory / source).mkdir()
            found, seconds = one_cloud(source, partitions, rate_mb, directory / source, clouds)
            faults, worst_s = faults + found, max(worst_s, seconds)
    finally:
        clouds.stop()
    for fault in faults:
        print(f"FAULT {fault}")
    good = not faults and worst_s <= BAR_S
    print(
        f"{'HOLDS' if good else 'MISSED'}: {partitions} partitions are elsewhere within {worst_s:.2f} s of the notice"
        f" (bar: {BAR_S:g} s), {', '.join(sources)}"
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clouds", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--partitions", type=int, default=100, help="on each broker")
    parser.add_argument("--rate-mb", type=float, default=5.0)
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-spot-"))
    good = False
    try:
        good = run(given.clouds, given.partitions, given.rate_mb, directory)
    except (DidNotStart, OSError, AssertionError) as error:
        print(f"MISSED: {error}")
    finally:
        if not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
