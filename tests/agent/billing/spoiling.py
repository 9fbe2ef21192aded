"""Three days of a cluster, told twice: by its cloud (`broker.bill`, the other author) and by the agent's own meter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from agent.billing.bill import Bill
from agent.billing.files import FileBill
from agent.billing.ledger import Ledger
from agent.billing.meter import Meter
from agent.billing.pricebook import load_prices
from agent.billing.scope import Scope
from agent.collect.collector import Collector, Watch
from agent.collect.views import StoreSource
from agent.model.clock import HandClock
from agent.store.samples import SampleStore
from agent.store.usage import BrokerUsage, Usage
from broker.bill.focus import COLUMNS, Subject, rows_of
from broker.bill.prices import load_prices as cloud_prices
from broker.bill.usage import HourUsage
from rules import page
from rules.catalogue import BUILT_IN
from rules.engine import Verdict, Workspace
from tests.agent.collect.hand import HandAdmin

Rows = list[dict[str, Any]]
GIB = float(2**30)
START = datetime(2026, 11, 16, tzinfo=UTC)
HOURS = 4 * 24
NOW = START + timedelta(hours=HOURS)
PUTS_S, GETS_S, CROSSING_S, STORED = 40.0, 400.0, 8e6, 4000 * GIB
VOLUME = 1000 * GIB
HOUR_MS = 3_600_000
USAGE = Usage(
    brokers=tuple(
        BrokerUsage(resource=f"c/broker/{n}", instance_type="m7g.large", spot=False, wal_bytes=VOLUME) for n in range(3)
    ),
    requests_per_s={
        **{(f"c/broker/{n}", "put"): PUTS_S for n in range(3)},
        **{(f"c/broker/{n}", "get"): GETS_S for n in range(3)},
    },
    cross_zone_bytes_per_s={f"c/client/app-{n}": CROSSING_S for n in range(3)},
    stored_bytes={"c/topic/orders": STORED},
)
CLOUD_TAGS = '{"cluster": "c", "broker": "0"}'


def cloud_rows() -> Rows:
    """What the cloud's own author bills for those hours."""
    rows: Rows = []
    for hour in range(HOURS):
        for broker in range(3):
            usage = HourUsage(
                start_ms=int(START.timestamp() * 1000) + hour * HOUR_MS,
                up_s=3600,
                tier1_requests=PUTS_S * 3600,
                tier2_requests=GETS_S * 3600,
                cross_zone_bytes=CROSSING_S * 3600,
                stored_byte_hours=STORED if broker == 0 else 0.0,
            )
            subject = Subject(
                cluster="c", broker=broker, zone=f"z{broker}", instance_type="m7g.large", spot=False,
                store="s3://bucket", volume_bytes=int(VOLUME),
            )  # fmt: skip
            rows += rows_of(usage, subject, cloud_prices())
    return rows


def of(component: str, row: dict[str, Any]) -> bool:
    """Whether a row of the cloud is for a component, by the cloud's meter."""
    marks = {"compute": "BoxUsage", "requests": "Requests", "storage": "TimedStorage", "wal": "EBS:",
             "network": "DataTransfer"}  # fmt: skip
    return str(row["SkuMeter"]).startswith(marks[component])


def dearer(row: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same use at another price."""
    return {**row, **{name: row[name] * factor for name in ("BilledCost", "EffectiveCost", "ListCost")}}


class Books:
    """One agent's meter and bill over those days, and what CST-02 says of them. `spoil` puts another bill in place."""

    def __init__(self, directory: Path, rows: Rows, *, watched: float = 1.0) -> None:
        self._table = directory / "bill.parquet"
        self._write(rows)
        self.bill = Bill(FileBill(directory), Scope(account="c", tags={"cluster": "c"}))
        self.ledger = Ledger(directory / "agent" / "meter.sqlite")
        self.meter = Meter(load_prices(), self.bill, self.ledger)
        charges = self.meter.charges(USAGE)
        for hour in range(HOURS):
            since = START + timedelta(hours=hour)
            self.ledger.record(since, since + timedelta(hours=watched), charges)
        clock = HandClock(NOW)
        self.store = SampleStore(directory / "agent", clock=clock)
        self.collector = Collector(Watch(cluster="c", targets=()), self.store, HandAdmin(), clock=clock)
        self.collector.round()
        self.source = StoreSource(self.store, "c", money=self.meter)
        self.source.age_s = lambda view, at: 1e9  # type: ignore[method-assign]

    def spoil(self, rows: Rows) -> Books:
        """The same days with these rows on the bill."""
        self._write(rows)
        assert self.bill.refresh()
        return self

    def _write(self, rows: Rows) -> None:
        used = {name: kind for name, kind in COLUMNS.items() if any(row[name] is not None for row in rows)}
        shapes = ", ".join(
            f"unnest(${n}::VARCHAR[])::{kind} AS {name}" for n, (name, kind) in enumerate(used.items(), 1)
        )
        cells = [[None if row[name] is None else str(row[name]) for row in rows] for name in used]
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"CREATE TABLE t AS SELECT {shapes}", cells)
            connection.execute(f"COPY t TO '{self._table}'")

    def verdict(self) -> Verdict:
        with Workspace(self.source, NOW) as workspace:
            return workspace.evaluate(_page())

    def fired(self) -> set[str]:
        """The components that CST-02 names."""
        verdict = self.verdict()
        assert verdict.silent_reason is None, verdict.silent_reason
        return {row.resource.removeprefix("c/component/") for row in verdict.rows if row.fired}

    def close(self) -> None:
        self.collector.close()
        self.store.close()
        self.ledger.close()
        self.bill.close()


@cache
def _page() -> page.RulePage:
    return page.read(BUILT_IN / "cost" / "meter-and-bill.md")
