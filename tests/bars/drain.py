"""The drain bar: a broker with 500 partitions under load is emptied, coordinators included, within 20 s.

`python -m tests.bars.drain [--partitions 500] [--rate-mb 20]`. Three real broker processes with that many partitions
each, written at the rate; a probe at 100 Hz on one partition of each. First `POST /admin/v1/drain` for one broker, then
SIGTERM for another. Told for each: seconds, and the longest silence of the probes. The last line is the
verdict; exit 0 only when both took at most 20 s, nothing came back to the drained broker by itself, and no error
reached a client.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster
from tests.bars.load import Flow
from tests.bars.moves import Probe
from tests.faults.brokers import DidNotStart

BAR_S = 20.0
WARM_S = 5.0


def admin_call(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{address}{path}", data), timeout=130) as answer:
        return json.loads(answer.read())


def owned(cluster: Cluster, asked: int, broker: int) -> int:
    total: int = admin_call(cluster.http[asked], f"/admin/v1/partitions?broker={broker}&limit=1")["total"]
    return total


def prepare(cluster: Cluster, partitions: int) -> None:
    """Topics spread evenly, and a group, so that there are coordinators."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    load = NewTopic("load", 3 * partitions, replica_assignment=[[n % 3] for n in range(3 * partitions)])
    probe = NewTopic("probe", 3, replica_assignment=[[0], [1], [2]])
    for future in admin.create_topics([load, probe], operation_timeout=60).values():
        future.result(90)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "drained", "log_level": 0})
    consumer.subscribe(["probe"])
    consumer.poll(3)
    consumer.close()


def measure(cluster: Cluster, probes: list[Probe]) -> tuple[list[str], float, float]:
    """Faults, and the seconds of the drain and of the notice."""
    time.sleep(WARM_S)
    had = owned(cluster, 1, 0)
    began = time.monotonic()
    told = admin_call(cluster.http[1], "/admin/v1/drain", {"broker": 0, "wait": True, "deadline_s": 60})
    drained_s = time.monotonic() - began
    time.sleep(2)
    say("drain", had, drained_s, probes, began)
    faults = [] if told["state"] == "done" else [f"the drain ended {told}"]
    if back := owned(cluster, 1, 0):
        faults.append(f"{back} partitions are on the drained broker again")
    admin_call(cluster.http[1], "/admin/v1/brokers/0/uncordon", {})
    had = owned(cluster, 0, 1)
    began = time.monotonic()
    left_s = cluster.end(1)
    time.sleep(2)
    say("SIGTERM", had, left_s, probes, began)
    if left := owned(cluster, 0, 1):
        faults.append(f"{left} partitions stayed with the broker that left")
    return faults, drained_s, left_s


def say(what: str, partitions: int, seconds: float, probes: list[Probe], since: float) -> None:
    gaps = ", ".join(f"{probe.longest_gap(since, time.monotonic()) * 1000:.0f}" for probe in probes)
    print(f"{what}: {partitions} partitions in {seconds:.2f} s, longest silence of the probes {gaps} ms", flush=True)


def run(partitions: int, rate_mb: float, directory: Path, flags: tuple[str, ...] = (), *, bar_s: float = BAR_S) -> bool:
    """The whole bar; whether it holds."""
    cluster = Cluster(directory, flags=("--no-bill", *flags))
    try:
        cluster.start()
        prepare(cluster, partitions)
        probes = [Probe(cluster.bootstrap, partition=number) for number in range(3)]
        flow = Flow(cluster.bootstrap, "load", 3 * partitions, rate_mb)
        for probe in probes:
            probe.start()
        try:
            faults, drained_s, left_s = measure(cluster, probes)
        finally:
            for probe in probes:
                probe.stop()
            done = flow.stop()
    finally:
        cluster.stop()
    print(f"load: {done}")
    faults += [f"an error reached a probe: {probe.errors[0]}" for probe in probes if probe.errors]
    if done["failed"]:
        faults.append(f"{done['failed']} records of the load failed")
    for fault in faults:
        print(f"FAULT {fault}")
    good = not faults and max(drained_s, left_s) <= bar_s
    print(
        f"{'HOLDS' if good else 'MISSED'}: {partitions} partitions, drain {drained_s:.2f} s, SIGTERM {left_s:.2f} s"
        f" (bar: {bar_s:g} s)"
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--partitions", type=int, default=500, help="on each broker")
    parser.add_argument("--rate-mb", type=float, default=20.0)
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-drain-"))
    good = False
    try:
        good = run(given.partitions, given.rate_mb, directory)
    except (DidNotStart, OSError) as error:
        print(f"MISSED: {error}")
    finally:
        if not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
