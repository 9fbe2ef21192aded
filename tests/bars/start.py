"""`python -m tests.bars.start`: from the spawn of a broker's process to its first answered request, against 1 s.

On an empty directory, and again on the three brokers of a cluster with `--partitions N`, one after the other, after a
kill -9 of all. The last line is the verdict; exit 0 when each median holds.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from tests.bars.cluster import Cluster

BAR_S = 1.0
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def answered(port: int, deadline_s: float = 60.0) -> None:
    """Returns when the port has answered an ApiVersions."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as client:
                client.sendall(API_VERSIONS)
                client.settimeout(5.0)
                if client.recv(4):
                    return
        except OSError:
            time.sleep(0.005)
    raise TimeoutError(f"port {port} did not answer")


def started_s(cluster: Cluster, broker: int) -> float:
    """Spawns one broker; the seconds to its first answer."""
    began = time.monotonic()
    cluster.spawn(broker)
    answered(cluster.ports[broker])
    seconds = time.monotonic() - began
    cluster.await_ready(broker)
    return seconds


def on_directory(measure: Callable[[Path], list[float]]) -> list[float]:
    directory = Path(tempfile.mkdtemp(prefix="streampilot-start-"))
    try:
        return measure(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def empty(directory: Path) -> list[float]:
    cluster = Cluster(directory, 1)
    seconds = started_s(cluster, 0)
    cluster.stop()
    return [seconds]


def with_partitions(partitions: int, directory: Path) -> list[float]:
    cluster = Cluster(directory)
    cluster.start()
    try:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        topics = [NewTopic(f"start-{n}", min(500, partitions)) for n in range(max(partitions // 500, 1))]
        for future in admin.create_topics(topics, request_timeout=120).values():
            future.result()
        cluster.kill()
        return [started_s(cluster, broker) for broker in cluster.ports]
    finally:
        cluster.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--partitions", type=int, default=10_000)
    asked = parser.parse_args()
    first = [on_directory(empty)[0] for _ in range(asked.times)]
    again = on_directory(lambda directory: with_partitions(asked.partitions, directory))
    print(f"empty directory: {' '.join(f'{s:.2f}' for s in first)} s")
    print(f"after kill -9, {asked.partitions} partitions: {' '.join(f'{s:.2f}' for s in again)} s, one after the other")
    worst = max(statistics.median(first), statistics.median(again))
    print(f"{'clean' if worst <= BAR_S else 'broken'}: {worst:.2f} s to the first answer (bar {BAR_S:g} s)")
    return 0 if worst <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
