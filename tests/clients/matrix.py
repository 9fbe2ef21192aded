"""`make clients`: clients x what they do, each cell against three brokers.

    python -m tests.clients.matrix [--clients a,b] [--columns x,y] [--records 100000] [--write]

A line per cell as it finishes, the grid, and a verdict as the last line; exit 0 only when everything is right. What a
client cannot do is said and is no fault; a client that is not installed is one. `--write` writes `docs/clients.md`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.clients import one
from tests.clients.cells import COLUMNS, FULL
from tests.clients.cluster import Cluster, brokers
from tests.clients.elsewhere import ROOT, Elsewhere
from tests.clients.page import Row, page, table

HERE = Path(__file__).parent
PAGE = ROOT / "docs/clients.md"
BESIDE = ("crc32c", "lz4", "python-snappy", "zstandard")
OLD = (
    Elsewhere(package="confluent-kafka", version="2.0.2", module="tests.clients.with_confluent_kafka"),
    Elsewhere(package="kafka-python", version="2.0.2", module="tests.clients.with_kafka_python", beside=BESIDE),
)
_LEAST = 100


@dataclass(frozen=True, kw_only=True)
class Client:
    """Which module, in which Python."""

    name: str
    module: str
    elsewhere: Elsewhere | None = None

    @property
    def python(self) -> str:
        return sys.executable if self.elsewhere is None else str(self.elsewhere.python)


def clients() -> dict[str, Client]:
    """Every `with_NAME.py` there is, and the old versions, each after its newest."""
    found: dict[str, Client] = {}
    for file in sorted(HERE.glob("with_*.py")):
        module, name = f"tests.clients.{file.stem}", file.stem.removeprefix("with_").replace("_", "-")
        found[name] = Client(name=name, module=module)
        for old in OLD:
            if old.module == module:
                found[old.name] = Client(name=old.name, module=module, elsewhere=old)
    return found


def run_client(client: Client, columns: list[str], cluster: Cluster, records: int, timeout_s: float) -> Row:
    """All the cells of a client, one after the other; a line to stdout for each."""
    if client.elsewhere is not None:
        client.elsewhere.install()
    said = one.describe(client.python, client.module)
    row = Row(client=client.name, described=said)
    for column in columns:
        if said.unavailable:
            row.faults[column] = [said.unavailable]
        elif column in said.columns:
            count = records if column in FULL else max(records // 10, _LEAST)
            ground = cluster.ground(f"{client.name}-{column}", count, timeout_s)
            began = time.monotonic()
            row.faults[column] = one.run(client.python, client.module, column, ground)
            row.seconds[column] = time.monotonic() - began
        elif column not in said.cannot:
            row.faults[column] = [f"{client.module} has no cell for it and does not say why"]
        print(row.line(column), flush=True)
    return row


def _chosen(parser: argparse.ArgumentParser, asked: str, known: list[str], what: str) -> list[str]:
    names = asked.split(",") if asked else known
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"unknown {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description="Kafka clients against three brokers")
    parser.add_argument("--records", type=int, default=100_000, help=f"for {', '.join(FULL)}; a tenth for the others")
    parser.add_argument("--clients", default="")
    parser.add_argument("--columns", default="")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for anything that a cell waits for")
    parser.add_argument("--write", action="store_true", help="write docs/clients.md; needs all clients and columns")
    asked = parser.parse_args()
    known = clients()
    names = _chosen(parser, asked.clients, list(known), "clients")
    columns = _chosen(parser, asked.columns, list(COLUMNS), "columns")
    if asked.write and (asked.clients or asked.columns):
        parser.error("--write writes the whole page: leave out --clients and --columns")
    with tempfile.TemporaryDirectory() as directory, brokers(Path(directory)) as cluster:
        rows = [run_client(known[name], columns, cluster, asked.records, asked.timeout) for name in names]
    print("\n" + table(rows, columns))
    failed = [f"{row.client} {column}" for row in rows for column, faults in row.faults.items() if faults]
    if asked.write and not failed:
        PAGE.write_text(page(rows))
    worked = sum(len(row.seconds) for row in rows)
    print(f"clients: {'FAILED: ' + ', '.join(failed) if failed else f'all {worked} cells are right'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
