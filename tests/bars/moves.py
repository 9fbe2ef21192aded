"""The move bar: 200 moves of a partition that is written 100 times a second, under 20 MB/s on others.

`python -m tests.bars.moves [--moves 200] [--rate-mb 20]`. Three real broker processes, a probe (confluent-kafka, acks
all, linger 0) and a load in a process of its own; reassignments through the Kafka API. A move's gap is the longest
interval between two acknowledgements of the probe while it was under way and in the half second after. The bar: the
99th percentile of the gaps is at most 300 ms, no error reached the probe or the load, and the probe's records are there
once and in order. What the same probe sees without a move is told beside it, because a busy machine
shows in both. The last line is the verdict; exit 0 only when it holds.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import TopicPartition as Moved
from kafka.admin import KafkaAdminClient

from tests.bars.load import Flow
from tests.faults.brokers import Brokers, DidNotStart

BAR_S = 0.3
PROBE_HZ = 100
LOAD_PARTITIONS = 12
SETTLE_S = 0.5
MOVE_LIMIT_S = 20.0
WARM_S = 3.0


class Probe(threading.Thread):
    """Writes a number every 10 ms to one partition and keeps when each was acknowledged."""

    def __init__(self, bootstrap: str, *, idempotent: bool = True, partition: int = 0) -> None:
        super().__init__(name=f"probe-{partition}")
        self._partition = partition
        settings = {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0}
        self._producer = Producer({**settings, "enable.idempotence": idempotent})
        self._over = threading.Event()
        self.acked_at: list[float] = []
        self.acked: list[int] = []
        self.errors: list[str] = []

    def run(self) -> None:
        begun, sent = time.monotonic(), 0
        while not self._over.is_set():
            if time.monotonic() - begun >= sent / PROBE_HZ:
                self._send(sent)
                sent += 1
            self._producer.poll(0.001)
        self._producer.flush(30)

    def _send(self, number: int) -> None:
        def delivered(error: object, _: object) -> None:
            if error is None:
                self.acked_at.append(time.monotonic())
                self.acked.append(number)
            else:
                self.errors.append(str(error))

        self._producer.produce("probe", b"%d" % number, partition=self._partition, on_delivery=delivered)

    def stop(self) -> None:
        self._over.set()
        self.join()

    def longest_gap(self, since: float, until: float) -> float:
        """Seconds of the longest silence that overlaps the span."""
        inside = [at for at in self.acked_at if since <= at <= until]
        before = max((at for at in self.acked_at if at < since), default=since)
        marks = [before, *inside, *([until] if not inside else [])]
        return max((b - a for a, b in itertools.pairwise(marks)), default=0.0)


def leader(admin: AdminClient) -> int:
    return int(admin.list_topics("probe", timeout=10).topics["probe"].partitions[0].leader)


def move(mover: KafkaAdminClient, admin: AdminClient, target: int) -> float:
    """Moves the probe's partition; seconds until the cluster says that it is there."""
    begun = time.monotonic()
    mover.alter_partition_reassignments({Moved("probe", 0): [target]})
    while leader(admin) != target:
        if time.monotonic() - begun > MOVE_LIMIT_S:
            raise TimeoutError(f"the move to broker {target} took over {MOVE_LIMIT_S:g} s")
        time.sleep(0.02)
    return time.monotonic() - begun


def read_back(bootstrap: str, high: int) -> list[int]:
    """Every number in the probe's partition, in order of offset."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "moves", "enable.auto.commit": False})
    consumer.assign([TopicPartition("probe", 0, 0)])
    found: list[int] = []
    deadline = time.monotonic() + 60
    while len(found) < high and time.monotonic() < deadline:
        found += [int(message.value() or b"-1") for message in consumer.consume(5000, 0.5) if not message.error()]
    consumer.close()
    return found


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measure(brokers: Brokers, moves: int, rate_mb: float, probe: Probe) -> tuple[list[float], list[float]]:
    """Gaps and durations of the moves, in seconds."""
    admin = AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
    mover = KafkaAdminClient(bootstrap_servers=brokers.bootstrap)
    spans: list[tuple[float, float]] = []
    still: list[float] = []
    flow = Flow(brokers.bootstrap, "load", LOAD_PARTITIONS, rate_mb) if rate_mb else None
    probe.start()
    try:
        time.sleep(WARM_S)
        steady = probe.longest_gap(time.monotonic() - WARM_S / 2, time.monotonic())
        print(f"steady: longest interval {steady * 1000:.0f} ms", flush=True)
        at = leader(admin)
        for number in range(moves):
            at = (at + 1) % 3
            begun = time.monotonic()
            took = move(mover, admin, at)
            time.sleep(SETTLE_S)
            spans.append((begun, begun + took + SETTLE_S))
            gap = probe.longest_gap(*spans[-1])
            time.sleep(SETTLE_S)
            still.append(probe.longest_gap(time.monotonic() - SETTLE_S, time.monotonic()))
            print(
                f"move {number + 1}/{moves} to {at}: {took * 1000:.0f} ms, gap {gap * 1000:.0f} ms,"
                f" then without a move {still[-1] * 1000:.0f} ms",
                flush=True,
            )
    finally:
        probe.stop()
        done = flow.stop() if flow is not None else {}
        mover.close()
    print(f"load: {done}")
    print(f"without a move: p50 {percentile(still, 0.5) * 1000:.0f} ms, p99 {percentile(still, 0.99) * 1000:.0f} ms")
    if done.get("failed"):
        probe.errors.append(f"{done['failed']} records of the load failed")
    return [probe.longest_gap(*span) for span in spans], [b - a - SETTLE_S for a, b in spans]


def run(
    moves: int,
    rate_mb: float,
    directory: Path,
    *,
    idempotent: bool = True,
    bar_s: float = BAR_S,
    flags: tuple[str, ...] = (),
) -> bool:
    """The whole bar; whether it holds."""
    brokers = Brokers(directory, flags=("--no-bill", *flags))
    try:
        brokers.start()
        admin = AdminClient({"bootstrap.servers": brokers.bootstrap, "log_level": 0})
        for future in admin.create_topics([NewTopic("probe", 1, 1), NewTopic("load", LOAD_PARTITIONS, 1)]).values():
            future.result(20)
        probe = Probe(brokers.bootstrap, idempotent=idempotent)
        gaps, took = measure(brokers, moves, rate_mb, probe)
        faults = check(probe, read_back(brokers.bootstrap, len(probe.acked)), idempotent=idempotent)
    finally:
        brokers.stop()
    return verdict(gaps, took, faults, bar_s)


def check(probe: Probe, found: list[int], *, idempotent: bool) -> list[str]:
    """What was not as promised."""
    faults = [f"an error reached the application: {error}" for error in probe.errors[:3]]
    if lost := set(probe.acked) - set(found):
        faults.append(f"{len(lost)} acknowledged records lost, such as {min(lost)}")
    if idempotent and len(found) != len(set(found)):
        faults.append(f"{len(found) - len(set(found))} records are there more than once")
    if idempotent and found != sorted(found):
        faults.append("the records are not in the order in which they were sent")
    return faults


def verdict(gaps: list[float], took: list[float], faults: list[str], bar_s: float) -> bool:
    """Prints it; whether the bar holds."""
    p99 = percentile(gaps, 0.99)
    for fault in faults:
        print(f"FAULT {fault}")
    good = not faults and p99 <= bar_s
    figures = (
        f"gap p50 {percentile(gaps, 0.5) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, max {max(gaps) * 1000:.0f} ms;"
        f" move p50 {percentile(took, 0.5) * 1000:.0f} ms, p99 {percentile(took, 0.99) * 1000:.0f} ms"
    )
    print(f"{'HOLDS' if good else 'MISSED'}: {len(gaps)} moves, {figures} (bar: gap p99 <= {bar_s * 1000:.0f} ms)")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--rate-mb", type=float, default=20.0)
    parser.add_argument("--plain", action="store_true", help="a probe without idempotence")
    parser.add_argument("--keep", action="store_true", help="leave the directory for a look")
    given = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="streampilot-moves-"))
    good = False
    try:
        good = run(given.moves, given.rate_mb, directory, idempotent=not given.plain)
    except (DidNotStart, TimeoutError) as error:
        print(f"MISSED: {error}")
    finally:
        if not given.keep:
            shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
