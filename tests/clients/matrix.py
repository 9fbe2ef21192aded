"""`make clients`: six clients, each through three brokers: create, produce, read back through a group, compare.

    python -m tests.clients.matrix [--records 100000] [--clients confluent-kafka,kcat,...]

One line per client, a verdict as the last line; exit 0 only when everything read equals everything sent, in order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.clients import with_aiokafka, with_confluent, with_kafka_python, with_kcat
from tests.clients.cluster import brokers
from tests.clients.elsewhere import Elsewhere
from tests.clients.records import differences, record

OLD = (
    Elsewhere(NAME="confluent-kafka-2.0.2", package="confluent-kafka", version="2.0.2", module=with_confluent.__name__),
    Elsewhere(NAME="kafka-python-2.0.2", package="kafka-python", version="2.0.2", module=with_kafka_python.__name__),
)
CLIENTS: dict[str, ModuleType | Elsewhere] = {
    client.NAME: client for client in (with_confluent, with_aiokafka, with_kafka_python, with_kcat, *OLD)
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one client did."""

    client: str
    records: int
    seconds: float
    faults: list[str]

    def line(self) -> str:
        """One line for people."""
        if not self.faults:
            return f"{self.client:22} equal: {self.records} records, {self.seconds:.1f} s"
        return f"{self.client:22} NOT EQUAL: {'; '.join(self.faults[:3])}"[:400]


def check(name: str, bootstrap: str, count: int, timeout: float) -> Outcome:
    """One client, all the way. What it throws is a fault of the outcome."""
    client = CLIENTS[name]
    sent = [record(number) for number in range(count)]
    if client is with_kcat:
        if not with_kcat.available():
            return Outcome(client=name, records=0, seconds=0.0, faults=["kcat is not installed (apt-get install kcat)"])
        sent = with_kcat.sendable(sent)
    began = time.monotonic()
    try:
        got = client.run(bootstrap, f"matrix-{name}", sent, timeout)
        faults = differences(sent, got)
    except Exception as error:
        faults = [f"{type(error).__name__}: {error}"]
    return Outcome(client=name, records=count, seconds=time.monotonic() - began, faults=faults)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kafka clients against three brokers")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for one client to produce, or to read")
    asked = parser.parse_args()
    unknown = set(asked.clients.split(",")) - set(CLIENTS)
    if unknown:
        parser.error(f"unknown clients {', '.join(sorted(unknown))}; there are {', '.join(CLIENTS)}")
    failed = []
    with tempfile.TemporaryDirectory() as directory, brokers(Path(directory)) as bootstrap:
        for name in asked.clients.split(","):
            outcome = check(name, bootstrap, asked.records, asked.timeout)
            print(outcome.line(), flush=True)
            failed += [name] if outcome.faults else []
    print(f"clients: {'FAILED: ' + ', '.join(failed) if failed else 'all equal'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
