"""`python -m tests.interop.record [NAME...]`: records what each source says, for the tests and the support matrix.

Apache Kafka is started once for each of the usual rule files of the JMX exporter; the bundled broker as `up` starts
it. Each is written and read as in `make interop`, and by a Java consumer that reports its own metrics.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from agent.collect.admin import ClusterAdmin
from tests.interop import load, pushing, recording, trio
from tests.interop.kafka import ROOT

ROUNDS = 3
GAP_S = 12.0
SETTLE_S = 25.0
PUSHED_S = 240.0
JMX = {
    "jmx-kafka-2_0_0": "example_kafka-2_0_0.yml",
    "jmx-kafka-kraft-3_0_0": "example_kafka-kraft-3_0_0.yml",
    "jmx-strimzi": "strimzi_kafka-metrics.yaml",
}


def main() -> int:
    names = sys.argv[1:] or [*JMX, "bundled"]
    for name in names:
        with tempfile.TemporaryDirectory(prefix="streampilot-record-") as scratch:
            if name == "bundled":
                with (
                    _bundled(Path(scratch)) as (bootstrap, targets),
                    load.running(bootstrap),
                    pushing.reading(bootstrap, Path(scratch) / "reader.log"),
                ):
                    _record(name, bootstrap, targets)
            else:
                with trio.running(Path(scratch), rule_files=(JMX[name],) * 3) as cluster:
                    cluster.allow_to_describe("User:describer")
                    targets = {broker: cluster.metrics(broker) for broker in cluster.hosts}
                    receiver = pushing.Receiver()
                    with (
                        load.running(cluster.bootstrap()),
                        pushing.reading(cluster.bootstrap(), Path(scratch) / "reader.log", receiver.url),
                    ):
                        _record(name, cluster.bootstrap(), targets, receiver)
                    receiver.stop()
        print(f"recorded {name}", flush=True)
    return 0


def _record(name: str, bootstrap: str, targets: Mapping[int, str], receiver: pushing.Receiver | None = None) -> None:
    admin = ClusterAdmin(bootstrap, timeout_s=20)
    looks, began = [], time.monotonic()
    time.sleep(SETTLE_S)
    while receiver is not None and not receiver.newest():
        assert time.monotonic() - began < PUSHED_S, f"the Java consumer pushed nothing within {PUSHED_S} s"
        time.sleep(1)
    for round in range(ROUNDS):
        at = time.monotonic()
        bodies = {broker: httpx.get(url, timeout=60).text for broker, url in targets.items()}
        looks.append((at - began, recording.look(admin)))
        recording.write(name, round, bodies)
        if receiver is not None:
            recording.write_push(name, round, receiver.newest())
        time.sleep(max(0.0, GAP_S - (time.monotonic() - at)))
    recording.write_looks(name, looks)
    admin.close()


@contextmanager
def _bundled(directory: Path) -> Iterator[tuple[str, Mapping[int, str]]]:
    """Three bundled brokers on one metadata store."""
    processes, ready = [], {}
    try:
        for broker in trio.BROKERS:
            command = [sys.executable, "-m", "broker.main", "--id", str(broker), "--dir", str(directory),
                       "--listeners", "PLAINTEXT://127.0.0.1:0", "--zone", f"zone-{'abc'[broker - 1]}",
                       "--zones", "127.0.0.1/32=zone-a", "--config", "telemetry.push.interval.ms=5000",
                       "--upload-interval", "5", "--no-bill"]  # fmt: skip
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
        for broker, process in zip(trio.BROKERS, processes, strict=True):
            assert process.stdout is not None
            ready[broker] = json.loads(process.stdout.readline())
        bootstrap = ",".join(str(told["kafka"]) for told in ready.values())
        yield bootstrap, {broker: f"{told['http']}/metrics" for broker, told in ready.items()}
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


if __name__ == "__main__":
    sys.exit(main())
