"""Bills of any source in one table with FOCUS 1.2 names.

Laws:
1. No row is dropped: rows in = rows kept, classified or counted as unclassified; those of other accounts and those
   without the cluster's tags are kept apart and counted.
2. NULL spelled as text ("NULL", "") is NULL. Columns that a version lacks are NULL; `Id` of the public 1.0 sample is
   no column of FOCUS and is passed over.
3. `Cost` is EffectiveCost, except where that is under 1 % of BilledCost with no commitment discount: then BilledCost,
   and `notes` says for how many rows. Credits and adjustments keep their sign.
4. A cloud bills both sides of a transfer between zones: the money is the sum of both rows, the bytes are half.
5. A bill that cannot be read is one error with file, row and column; nothing of it is used, and what was read before
   stays.
6. A day is closed when its last rows can no longer be late (`source.late_s`) and the bill has gone past it. Only
   closed days are compared with anything.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np

from agent.billing.classify import UNCLASSIFIED, component_sql
from agent.billing.columns import VIEW_COLUMNS, first_line, no_rows
from agent.billing.errors import BillError
from agent.billing.files import FileBill
from agent.billing.scope import OTHERS, OURS, UNTAGGED, Scope
from agent.billing.source import BillSource
from agent.store.batch import Columns, instant

WORDS = "lower(concat_ws(' ', SkuMeter, ChargeDescription, ServiceName, ServiceSubcategory, ConsumedUnit))"
UNDISCOUNTED = "(CommitmentDiscountId IS NULL AND abs(coalesce(EffectiveCost, 0)) < 0.01 * abs(BilledCost))"
DAILY = "(ChargePeriodEnd IS NULL OR ChargePeriodEnd - ChargePeriodStart <= INTERVAL 25 HOUR)"
"""Rows of an hour or a day; a fee for a month belongs to no day."""


@dataclass(frozen=True, kw_only=True)
class ComponentCost:
    component: str
    currency: str
    usd: float
    """In `currency`."""
    rows: int


@dataclass(frozen=True, kw_only=True)
class DayCost:
    day: date
    """UTC."""
    component: str
    resource: str
    """The cloud's id of it; empty where the row has none."""
    currency: str
    cost: float


class Bill:
    """One bill, read whole and kept in memory. Thread-safe; `refresh` reads what has changed."""

    def __init__(self, source: BillSource | Path, scope: Scope | None = None) -> None:
        self.source: BillSource = FileBill(source) if isinstance(source, Path) else source
        self.scope = scope or Scope()
        self.notes: tuple[str, ...] = ()
        self._lock = threading.RLock()
        self._connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": "256MB"})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(f"CREATE TABLE lines AS {self._priced(no_rows())}")
        self._state: str | None = None
        if not self.source.remote:
            self.refresh()

    def refresh(self) -> bool:
        """Reads the source again if it has changed; says whether it did."""
        state = self.source.look()
        with self._lock:
            if state == self._state:
                return False
            union = " UNION ALL ".join(self.source.selects(self._connection) or [no_rows()])
            try:
                self._connection.execute(f"CREATE OR REPLACE TABLE lines AS {self._priced(union)}")
            except duckdb.Error as error:
                raise BillError(f"cannot read the bill {self.source.name}: {first_line(error)}") from error
            self._state = state
            self.notes = tuple(self._notes())
            return True

    @property
    def size(self) -> int:
        """Rows kept."""
        return self._count("true")

    @property
    def unclassified(self) -> int:
        return self._count(f"x_Component = '{UNCLASSIFIED}'")

    def owners(self) -> dict[str, int]:
        """Rows by whose they are."""
        return {str(owner): int(rows) for owner, rows in self._rows("SELECT x_Owner, count(*) FROM lines GROUP BY 1")}

    def components(self, owner: str = OURS) -> list[ComponentCost]:
        """What each component costs, the dearest first."""
        rows = self._rows(
            "SELECT x_Component, coalesce(BillingCurrency, 'USD'), sum(Cost), count(*) FROM lines "
            "WHERE x_Owner = ? GROUP BY ALL ORDER BY 3 DESC",
            [owner],
        )
        return [ComponentCost(component=name, currency=money, usd=cost, rows=n) for name, money, cost, n in rows]

    def cross_zone_gb(self) -> float:
        """GB moved between zones: each is on the bill twice, once for either side."""
        ((both_sides,),) = self._rows(
            f"SELECT coalesce(sum(ConsumedQuantity), 0) FROM lines WHERE x_Component = 'network' AND x_Owner = '{OURS}'"
        )
        return float(both_sides) / 2

    def days(self, since: date, until: date) -> list[DayCost]:
        """What each UTC day in [since, until) cost by component and resource."""
        rows = self._rows(
            "SELECT ChargePeriodStart::DATE, x_Component, coalesce(ResourceId, ''), coalesce(BillingCurrency, 'USD'), "
            f"sum(Cost) FROM lines WHERE x_Owner = '{OURS}' AND {DAILY} AND ChargePeriodStart::DATE >= ?::DATE "
            "AND ChargePeriodStart::DATE < ?::DATE GROUP BY ALL ORDER BY ALL",
            [since.isoformat(), until.isoformat()],
        )
        return [
            DayCost(day=day, component=component, resource=resource, currency=currency, cost=cost)
            for day, component, resource, currency, cost in rows
        ]

    def closed_until(self, at: datetime) -> date | None:
        """The first day that is not closed at `at`; None while the bill is empty."""
        ((newest_us,),) = self._rows(
            "SELECT epoch_us(max(coalesce(ChargePeriodEnd, ChargePeriodStart))) FROM lines "
            f"WHERE x_Owner = '{OURS}' AND {DAILY}"
        )
        if newest_us is None:
            return None
        gone_past = datetime.fromtimestamp(newest_us / 1e6, UTC)
        settled = at.astimezone(UTC) - timedelta(seconds=self.source.late_s)
        return min(gone_past, settled).date()

    def rows(self, since: datetime, until: datetime) -> Columns:
        """Rows whose charge period starts in [since, until), for the `bill` view; EffectiveCost is law 3's cost."""
        columns = ", ".join("Cost AS EffectiveCost" if name == "EffectiveCost" else name for name in VIEW_COLUMNS)
        with self._lock:
            found: Columns = self._connection.execute(
                f"SELECT {columns} FROM lines WHERE ChargePeriodStart >= timezone('UTC', $since::TIMESTAMP) "
                "AND ChargePeriodStart < timezone('UTC', $until::TIMESTAMP)",
                {"since": str(instant(since)), "until": str(instant(until))},
            ).fetchnumpy()
        return {name: np.ma.asarray(column) for name, column in found.items()}

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _priced(self, union: str) -> str:
        return (
            f"SELECT *, {UNDISCOUNTED} AS by_billed, "
            f"CASE WHEN {UNDISCOUNTED} THEN BilledCost ELSE coalesce(EffectiveCost, BilledCost) END AS Cost, "
            f"{component_sql(WORDS, 'ServiceCategory')} AS x_Component, {self.scope.sql} AS x_Owner FROM ({union})"
        )

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return self._connection.execute(sql, list(parameters)).fetchall()

    def _count(self, where: str) -> int:
        ((found,),) = self._rows(f"SELECT count(*) FROM lines WHERE {where}")
        return int(found)

    def _notes(self) -> list[str]:
        notes = list(self.source.notes())
        if billed := self._count("by_billed AND BilledCost <> 0"):
            notes.append(f"{billed} rows have no EffectiveCost to speak of: BilledCost is counted for them")
        if self.unclassified:
            notes.append(f"{self.unclassified} of {self.size} rows fit no component and are shown as {UNCLASSIFIED}")
        owners = self.owners()
        if owners.get(UNTAGGED):
            wanted = ", ".join(f"{key}={value}" for key, value in self.scope.tags.items())
            notes.append(f"{owners[UNTAGGED]} rows lack a tag of {wanted}: nobody can say whose they are; not counted")
        if owners.get(OTHERS):
            notes.append(f"{owners[OTHERS]} rows are of other accounts or clusters: not counted")
        if long := self._count(f"x_Owner = '{OURS}' AND NOT {DAILY}"):
            notes.append(f"{long} rows are for more than a day: they are in totals and in no day")
        currencies = [
            str(name) for (name,) in self._rows("SELECT DISTINCT coalesce(BillingCurrency, 'USD') FROM lines")
        ]
        if currencies not in ([], ["USD"]):
            notes.append(f"the bill is in {', '.join(sorted(currencies))}: amounts stay in their currency")
        ((accounts,),) = self._rows("SELECT count(DISTINCT SubAccountId) FROM lines")
        if accounts > 1 and not self.scope.account and not self.scope.tags:
            notes.append(
                f"rows of {accounts} accounts are on the bill, and all are counted: set bill.account or bill.tags"
            )
        return notes
