"""Recovery at the limit (law 12): `python -m tests.bars.recovery`.

For each size of batch a broker fills its WAL until it refuses (its store is away: something else lies where the objects
were), is killed, and starts again. What its start takes longer than one with an empty WAL is the recovery; it may take
2 s. A broker's first start, with a ring of 256 MiB to make, may take 1 s. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster, figure, usage

RECOVERY_S, START_S = 2.0, 1.0
PARTITIONS = 20
BATCH_BYTES = (1_000_000, 16_000, 1_000)
FILL_S = 60.0
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Start:
    seconds: float
    cpu_s: float
    """Of the broker's process: what the machine's other work leaves alone."""


def start(cluster: Cluster) -> Start:
    begun = time.monotonic()
    cluster.start()
    return Start(seconds=time.monotonic() - begun, cpu_s=usage(cluster.pids[0]).cpu_s)


def fill(cluster: Cluster, batch_bytes: int) -> float:
    """One record to a batch, until nothing more is taken; the bytes that wait."""
    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 0, "batch.num.messages": 1, "log_level": 0,
        "message.timeout.ms": 5_000, "queue.buffering.max.messages": 200, "retry.backoff.ms": 50,
        "max.in.flight.requests.per.connection": 5, "message.max.bytes": 2 * MIB,
    })  # fmt: skip
    filler, refused, number = os.urandom(batch_bytes), [], 0

    def delivered(error: object, _: object) -> None:
        if error is not None:
            refused.append(error)

    until = time.monotonic() + FILL_S
    while not refused and time.monotonic() < until:
        try:
            producer.produce("t", filler, partition=number % PARTITIONS, on_delivery=delivered)
            number += 1
        except BufferError:
            producer.poll(0.05)
        producer.poll(0)
    producer.purge()
    producer.flush(5)
    return figure(cluster.page(0), "kafka_stream_wal_pending_upload_bytes")


def measure(batch_bytes: int) -> tuple[float, Start, Start]:
    """Bytes that waited, the first start, and the one that recovered."""
    with tempfile.TemporaryDirectory(prefix="streampilot-recovery-") as path:
        directory = Path(path)
        cluster = Cluster(directory, 1, flags=("--no-bill", "--upload-interval", "3600"))
        try:
            first = start(cluster)
            topic = NewTopic("t", PARTITIONS, 1, config={"max.message.bytes": str(2 * MIB)})
            admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
            admin.create_topics([topic])["t"].result(20)
            objects, away = directory / "objects", directory / "away"
            objects.rename(away)
            objects.write_text("a store that is away")
            waiting = fill(cluster, batch_bytes)
            cluster.kill()
            objects.unlink()
            away.rename(objects)
            return waiting, first, start(cluster)
        finally:
            cluster.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    slowest_start = slowest_recovery = 0.0
    for batch_bytes in BATCH_BYTES:
        waiting, first, again = measure(batch_bytes)
        recovery = again.seconds - first.seconds
        slowest_start, slowest_recovery = max(slowest_start, first.seconds), max(slowest_recovery, recovery)
        print(
            f"batches of {batch_bytes} bytes: {waiting / MIB:.0f} MiB waited, first start {first.seconds:.2f} s (CPU"
            f" {first.cpu_s:.2f}), start with recovery {again.seconds:.2f} s (CPU {again.cpu_s:.2f})",
            flush=True,
        )
    good = slowest_recovery <= RECOVERY_S and slowest_start <= START_S
    print(f"{'GOOD' if good else 'NOT GOOD'}: recovery at most {slowest_recovery:.2f} s of {RECOVERY_S:g},"
          f" first start at most {slowest_start:.2f} s of {START_S:g}")  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
