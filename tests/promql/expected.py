"""What a real Prometheus 2.42 answers to every compliance query on a small seeded sample, kept for the tests.

python -m tests.promql.expected      # writes tests/agent/promql/expected.json.gz; needs prometheus
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.promql import demo_service
from tests.promql.cases import cases
from tests.promql.prometheus import running

FILE = Path(__file__).parent.parent / "agent" / "promql" / "expected.json.gz"
SEED, MINUTES, CALLS = 7, 40, 2
START_MS = demo_service.START_MS + 20 * 60_000
END_MS, STEP_MS = START_MS + 18 * 60_000, 6 * 60_000


def sample() -> list[demo_service.Series]:
    """The series that the answers are about."""
    return demo_service.make(SEED, minutes=MINUTES, calls=CALLS)


def load() -> dict[str, Any]:
    """Query to its `data`, or None where Prometheus refuses it."""
    found: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return found


def main() -> int:
    """Asks and writes."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="promql-") as name, running(Path(name)) as theirs:
        theirs.load(sample())
        for case in cases():
            said = theirs.ask(
                "query_range",
                query=case.query,
                start=str(START_MS / 1000),
                end=str(END_MS / 1000),
                step=str(STEP_MS / 1000),
            )
            found[case.query] = said.get("data")
    FILE.write_bytes(gzip.compress(json.dumps(found, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(found)} answers, {FILE.stat().st_size} bytes", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
