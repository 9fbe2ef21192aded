"""`make bill-buckets`: a bill in a container of Azure's and in a bucket of Google's, read as the agent reads it.

FOCUS exports lie there as their clouds write them: Azure's zipped parts under a folder of a run, beside a manifest, and
BigQuery's shards. What is read must be the same rows and the same money as from a directory, and follow every change.
"""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from agent.billing.bill import Bill
from agent.billing.errors import BillError
from agent.billing.opening import open_bill
from agent.billing.scope import Scope
from agent.model.clock import HandClock
from tests.buckets import servers
from tests.buckets.servers import Bucket

SAMPLE = Path(__file__).resolve().parents[1] / "data/focus_1_0_sample.csv"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOUDS: dict[str, tuple[Callable[[Path], AbstractContextManager[Bucket]], str, str]] = {
    "az": (servers.azure, "focus/prod/20261101-20261130/7f1c/part_0_{n:04}.csv.gz", "focus/prod/manifest.json"),
    "gs": (servers.google, "focus/export-{n:012}.csv.gz", "focus/_SUCCESS"),
}
PARTS = 3


def main() -> int:
    servers.install()
    faults = 0
    for name, (serve, part, beside) in CLOUDS.items():
        with tempfile.TemporaryDirectory(prefix="streampilot-bills-") as scratch, serve(Path(scratch)) as bucket:
            os.environ.update(bucket.environment)
            for what, fault in _checks(bucket, part, beside, Path(scratch)):
                faults += bool(fault)
                print(f"{name}: {what}: {fault or 'holds'}", flush=True)
    print(f"{faults} faults")
    return 1 if faults else 0


def _checks(bucket: Bucket, part: str, beside: str, scratch: Path) -> list[tuple[str, str]]:
    here = Bill(SAMPLE)
    head, *rows = SAMPLE.read_bytes().splitlines(keepends=True)
    for n in range(PARTS):
        bucket.put(part.format(n=n), gzip.compress(b"".join([head, *rows[n::PARTS]])))
    bucket.put(beside, b"{}")
    bill = _opened(f"{bucket.url}/focus", scratch / "cache")
    found = [("an unread bucket is empty", _unlike(bill.size, 0))]
    bill.refresh()
    found.append(("the sample's rows", _unlike(bill.size, here.size)))
    found.append(("the sample's money", _unlike(_money(bill), _money(here))))
    found.append(("nothing new, nothing read", _unlike(bill.refresh(), False)))
    bucket.delete(part.format(n=0))
    found.append(("a part that went is gone", _unlike((bill.refresh(), bill.size), (True, here.size - len(rows[::3])))))
    bucket.put(part.format(n=1), gzip.compress(head + rows[0]))
    found.append(
        ("a part written again is read again", _unlike((bill.refresh(), bill.size), (True, 1 + len(rows[2::3]))))
    )
    try:
        _opened("/".join((bucket.url + "-of-nobody", "focus")), scratch / "other").refresh()
        found.append(("a bucket that is not there", "was read"))
    except BillError as error:
        found.append(("a bucket that is not there", "" if f"{bucket.url}-of-nobody" in str(error) else str(error)))
    return found


def _opened(url: str, cache: Path) -> Bill:
    return open_bill(kind="", url=url, scope=Scope(), cache=cache, clock=HandClock(NOW), environment=os.environ)


def _money(bill: Bill) -> dict[str, float]:
    return {line.component: round(line.usd, 6) for line in bill.components()}


def _unlike(found: object, wanted: object) -> str:
    return "" if found == wanted else f"{found} instead of {wanted}"


if __name__ == "__main__":
    sys.exit(main())
