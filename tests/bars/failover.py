"""The failover bar: `python -m tests.bars.failover [--kind NAME ...] [--trials 20] [--upload-interval 5]`.

Three brokers take 20 MB/s. Just before an upload of one is due, when its WAL holds most, it is killed (-9) and stays
down until every partition it led has taken a record from a new producer; then it starts again and gets them back.
Victims are taken in turn, so that the controller is among them. The bar, for each kind of WAL and metadata: at most 5 s
in the median and 8 s at worst, and at the end every acknowledged record is there.

On PostgreSQL a shared WAL is measured as if each broker had a host of its own (`tests.bars.hosts`), so that only
silence tells, as it does for an object WAL; a lock of this host tells at once. The last line of each kind is its
verdict; exit 0 only when all hold.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import ElectionType
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, figure
from tests.bars.gateway import s3
from tests.bars.numbered import Writer, Written, read_back
from tests.chaos.services import BUCKET, Postgres, s3_environment
from tests.faults.brokers import DidNotStart
from tests.faults.kill import led_by, probe

P50_S, MAX_S = 5.0, 8.0
MB_PER_S = 20.0
BROKERS, PARTITIONS = 3, 12
TOPICS = ("load", "probe")
FULL_BYTES = 60 << 20
"""Near the 64 MiB at which an upload is due whatever the time."""
BEFORE_S = 0.3
LOOK_S = 0.05
RIPE_S = 30.0
"""A victim that is not near an upload by then is killed all the same, which is said."""
SETTLE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a cluster stands on."""

    postgres: bool
    wal: str
    """disk, shared or object."""


KINDS = {
    f"{store}-{wal}": Kind(postgres=store == "pg", wal=wal)
    for store in ("sqlite", "pg")
    for wal in ("disk", "shared", "object")
}


class Ground:
    """The stores of one kind: PostgreSQL comes with S3, SQLite with a directory."""

    def __init__(self, kind: Kind, directory: Path) -> None:
        self.postgres = Postgres(directory / "postgres") if kind.postgres else None
        self.s3 = s3() if kind.postgres else None

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--objects", f"s3://{BUCKET}/failover") if self.s3 is not None else ()

    @property
    def metadata(self) -> str | None:
        return self.postgres.url if self.postgres is not None else None

    @property
    def environment(self) -> dict[str, str]:
        return s3_environment(self.s3.port) if self.s3 is not None else dict(os.environ)

    def stop(self) -> None:
        for service in (self.s3, self.postgres):
            if service is not None:
                service.stop()


def cluster_on(ground: Ground, name: str, directory: Path, upload_interval_s: float) -> Cluster:
    wals: dict[str, tuple[str, ...]] = {
        "disk": (),
        "shared": ("--wal", f"file://{directory / 'wal'}?fence=verify"),
        "object": ("--wal", "objects://"),
    }
    return Cluster(
        directory,
        BROKERS,
        flags=("--no-bill", "--upload-interval", f"{upload_interval_s:g}", *ground.flags, *wals[KINDS[name].wal]),
        module="tests.bars.hosts" if name == "pg-shared" else "broker.main",
        metadata=ground.metadata,
        environment=ground.environment,
    )


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One kill."""

    victim: int
    seconds: float
    """Until everything it led was writable elsewhere."""
    pending_bytes: float
    """What its WAL alone had at the last look."""


class LeadsNothing(Exception):
    """A victim whose death would show nothing."""


def await_ripe(cluster: Cluster, victim: int, upload_interval_s: float) -> float:
    """Returns just before the victim's next upload is due, by time or by size; the bytes that wait for it."""
    begun = time.monotonic()
    while time.monotonic() - begun < RIPE_S:
        time.sleep(LOOK_S)
        page = cluster.page(victim)
        age_s = figure(page, "kafka_stream_wal_oldest_pending_seconds")
        pending = figure(page, "kafka_stream_wal_pending_upload_bytes")
        if pending >= FULL_BYTES or upload_interval_s - BEFORE_S <= age_s < upload_interval_s:
            return pending
    print(f"broker {victim} was not near an upload for {RIPE_S:g} s: {pending:.0f} bytes, {age_s:.1f} s", flush=True)
    return pending


def trial(cluster: Cluster, admin: AdminClient, victim: int, upload_interval_s: float) -> Trial:
    """Kills, measures, starts it again and gives it back what it led."""
    led = {topic: led_by(admin, [topic]).get(victim, set()) for topic in TOPICS}
    if not all(led.values()):
        raise LeadsNothing(f"broker {victim} leads no partition of one of {TOPICS}, so its death shows nothing")
    pending = await_ripe(cluster, victim, upload_interval_s)
    killed_at = time.monotonic()
    cluster.kill(victim)
    with ThreadPoolExecutor() as probes:
        seconds = max(probes.map(lambda topic: probe(cluster.bootstrap, led[topic], killed_at, topic), TOPICS))
    cluster.start(victim)
    admin.elect_leaders(ElectionType.PREFERRED).result()
    time.sleep(SETTLE_S)
    return Trial(victim=victim, seconds=seconds, pending_bytes=pending)


def measure(name: str, trials: int, directory: Path, upload_interval_s: float, rate_mb: float) -> bool:
    """The bar for one kind; whether it holds."""
    ground = Ground(KINDS[name], directory)
    cluster = cluster_on(ground, name, directory, upload_interval_s)
    done: list[Trial] = []
    try:
        cluster.start()
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        for future in admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in TOPICS]).values():
            future.result(20)
        writer = Writer(cluster.bootstrap, "load", PARTITIONS, rate_mb, directory / "acked")
        try:
            for number in range(trials):
                done.append(trial(cluster, admin, number % BROKERS, upload_interval_s))
                tell(name, number, done[-1], cluster)
        finally:
            written = writer.stop()
        return verdict(name, done, written, faults_of(written, *read_back(cluster.bootstrap, "load", PARTITIONS)))
    finally:
        cluster.stop()
        ground.stop()


def faults_of(written: Written, seen: set[int], twice: int) -> list[str]:
    """What was not as promised."""
    lost = [number for number, acked in enumerate(written.acked) if acked and number not in seen]
    faults = [f"{len(lost)} acknowledged records are lost, such as {lost[0]}"] if lost else []
    faults += [f"{twice} records of an idempotent producer came twice"] if twice else []
    return faults + ([f"sends failed: {written.failed[0]}"] if written.failed else [])


def tell(name: str, number: int, one: Trial, cluster: Cluster) -> None:
    """One trial; with what the brokers said when it was slow."""
    print(
        f"{name} {number + 1}: broker {one.victim} with {one.pending_bytes / 1e6:.0f} MB not uploaded,"
        f" writable elsewhere after {one.seconds:.2f} s",
        flush=True,
    )
    if one.seconds > P50_S:
        for broker in cluster.ports:
            print(f"  broker {broker}:\n{cluster.narration(broker, 6)}", flush=True)


def verdict(name: str, done: list[Trial], written: Written, faults: list[str]) -> bool:
    """Prints it; whether the bar holds."""
    seconds = sorted(one.seconds for one in done)
    p50, worst = seconds[len(seconds) // 2], seconds[-1]
    for fault in faults:
        print(f"FAULT {name}: {fault}")
    good = not faults and p50 <= P50_S and worst <= MAX_S
    pending_mb = sum(one.pending_bytes for one in done) / len(done) / 1e6
    rates = sorted(written.bytes_by_second.values())
    print(
        f"{'HOLDS' if good else 'MISSED'}: {name}, {len(done)} kills with {pending_mb:.0f} MB not uploaded on average,"
        f" {rates[len(rates) // 2] / 1e6:.0f} MB/s: writable elsewhere p50 {p50:.2f} s (bar {P50_S:g}),"
        f" max {worst:.2f} s (bar {MAX_S:g}); {sum(written.acked)} records acknowledged, {len(faults)} faults",
        flush=True,
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--upload-interval", type=float, default=5.0, help="60 is the product's: then by size")
    parser.add_argument("--rate-mb", type=float, default=MB_PER_S)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    good = True
    for name in given.kind:
        with tempfile.TemporaryDirectory(prefix="streampilot-failover-", ignore_cleanup_errors=True) as path:
            try:
                good &= measure(name, given.trials, Path(path), given.upload_interval, given.rate_mb)
            except (DidNotStart, LeadsNothing) as error:
                good = False
                print(f"MISSED: {name}: {error}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
