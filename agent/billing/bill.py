"""Bills in FOCUS 1.0 and 1.2 (CSV, CSV.gz, Parquet; a file or a directory) into one table with FOCUS 1.2 names.

Laws:
1. No row is dropped: rows in = rows kept, classified or counted as unclassified.
2. NULL spelled as text ("NULL", "") is NULL. Columns that a version lacks are NULL; `Id` of the public 1.0 sample is
   no column of FOCUS and is passed over.
3. `Cost` is EffectiveCost, except where that is under 1 % of BilledCost with no commitment discount: then BilledCost,
   and `notes` says for how many rows. Credits and adjustments keep their sign.
4. A cloud bills both sides of a transfer between zones: the money is the sum of both rows, the bytes are half.
5. A bill that cannot be read is one error with file, row and column; nothing of that file is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np

from agent.billing.classify import UNCLASSIFIED, component_sql
from agent.billing.errors import BillError
from agent.store.batch import Columns, instant

TEXTS = [
    "BillingAccountId",
    "ServiceName",
    "ServiceCategory",
    "ServiceSubcategory",
    "ChargeCategory",
    "ChargeDescription",
    "RegionId",
    "AvailabilityZone",
    "ResourceId",
    "SkuId",
    "SkuMeter",
    "ConsumedUnit",
    "BillingCurrency",
    "ProviderName",
    "CommitmentDiscountId",
    "Tags",
]
NUMBERS = ["ConsumedQuantity", "BilledCost", "EffectiveCost", "ListCost"]
TIMES = ["ChargePeriodStart", "ChargePeriodEnd"]
REQUIRED = ["BilledCost", "ChargePeriodStart", "ChargePeriodEnd", "ServiceName"]
VIEW_COLUMNS = [
    "BillingAccountId",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "ServiceName",
    "ServiceCategory",
    "ChargeCategory",
    "ChargeDescription",
    "RegionId",
    "ResourceId",
    "SkuId",
    "SkuMeter",
    "ConsumedQuantity",
    "ConsumedUnit",
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "BillingCurrency",
    "Tags",
]
OLDER_NAMES: Mapping[str, str] = {"SkuMeter": "x_UsageType"}
"""A 1.2 column to what AWS called it in 1.0."""
ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True, kw_only=True)
class ComponentCost:
    component: str
    currency: str
    usd: float
    rows: int


class Bill:
    """One bill, read whole and kept in memory. `refresh` reads what has changed on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()
        self._connection = duckdb.connect(":memory:", config={"threads": "1", "memory_limit": "256MB"})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._stamp: tuple[tuple[str, int, int], ...] | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Reads the files again if any has changed; says whether it did."""
        files = _files(self.path)
        stamp = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if stamp == self._stamp:
            return False
        parts = [_select(self._connection, file) for file in files]
        empty = ", ".join(f"NULL::{_type(name)} AS {name}" for name in (*TEXTS, *NUMBERS, *TIMES))
        union = " UNION ALL ".join(parts or [f"SELECT {empty} WHERE false"])
        words = "lower(concat_ws(' ', SkuMeter, ChargeDescription, ServiceName, ServiceSubcategory, ConsumedUnit))"
        undiscounted = "(CommitmentDiscountId IS NULL AND abs(coalesce(EffectiveCost, 0)) < 0.01 * abs(BilledCost))"
        try:
            self._connection.execute(
                f"CREATE OR REPLACE TABLE lines AS SELECT *, {undiscounted} AS by_billed, "
                f"CASE WHEN {undiscounted} THEN BilledCost ELSE coalesce(EffectiveCost, BilledCost) END AS Cost, "
                f"{component_sql(words, 'ServiceCategory')} AS Component FROM ({union})"
            )
        except duckdb.Error as error:
            raise BillError(f"cannot read the bill {self.path}: {_first_line(error)}") from error
        self._stamp = stamp
        self.notes = tuple(self._notes())
        return True

    @property
    def size(self) -> int:
        """Rows kept."""
        return self._count("true")

    @property
    def unclassified(self) -> int:
        return self._count(f"Component = '{UNCLASSIFIED}'")

    def components(self) -> list[ComponentCost]:
        """What each component costs, the dearest first."""
        rows = self._connection.execute(
            "SELECT Component, coalesce(BillingCurrency, 'USD'), sum(Cost), count(*) FROM lines "
            "GROUP BY ALL ORDER BY 3 DESC"
        ).fetchall()
        return [ComponentCost(component=name, currency=money, usd=cost, rows=n) for name, money, cost, n in rows]

    def cross_zone_gb(self) -> float:
        """GB moved between zones: each is on the bill twice, once for either side."""
        (both_sides,) = self._connection.execute(
            "SELECT coalesce(sum(ConsumedQuantity), 0) FROM lines WHERE Component = 'cross_zone'"
        ).fetchone() or (0.0,)
        return float(both_sides) / 2

    def rows(self, since: datetime, until: datetime) -> Columns:
        """Rows whose charge period starts in [since, until), for the `bill` view; EffectiveCost is law 3's cost."""
        self.refresh()
        columns = ", ".join("Cost AS EffectiveCost" if name == "EffectiveCost" else name for name in VIEW_COLUMNS)
        found: Columns = self._connection.execute(
            f"SELECT {columns} FROM lines WHERE ChargePeriodStart >= timezone('UTC', $since::TIMESTAMP) "
            "AND ChargePeriodStart < timezone('UTC', $until::TIMESTAMP)",
            {"since": str(instant(since)), "until": str(instant(until))},
        ).fetchnumpy()
        return {name: np.ma.asarray(column) for name, column in found.items()}

    def close(self) -> None:
        self._connection.close()

    def _count(self, where: str) -> int:
        (found,) = self._connection.execute(f"SELECT count(*) FROM lines WHERE {where}").fetchone() or (0,)
        return int(found)

    def _notes(self) -> list[str]:
        notes = []
        if billed := self._count("by_billed AND BilledCost <> 0"):
            notes.append(f"{billed} rows have no EffectiveCost to speak of: BilledCost is counted for them")
        if self.unclassified:
            notes.append(f"{self.unclassified} of {self.size} rows fit no component and are shown as {UNCLASSIFIED}")
        return notes


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.name.endswith(ENDINGS))
    if not path.exists():
        raise BillError(f"there is no bill at {path}: pass a FOCUS file or a directory of them")
    if not path.name.endswith(ENDINGS):
        raise BillError(f"{path} is none of {', '.join(ENDINGS)}: export the bill as FOCUS 1.0 or 1.2")
    return [path]


def _select(connection: duckdb.DuckDBPyConnection, file: Path) -> str:
    """SQL for the rows of one file under FOCUS 1.2 names, every cell checked."""
    quoted = "'" + str(file).replace("'", "''") + "'"
    source = (
        f"read_parquet({quoted})"
        if file.name.endswith(".parquet")
        else f"read_csv({quoted}, all_varchar = true, header = true, nullstr = ['NULL', ''], strict_mode = true)"
    )
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise BillError(f"{file} is not a FOCUS file: {_first_line(error)}; export it again") from error
    present = {row[0] for row in described}
    for name in REQUIRED:
        if name not in present:
            raise BillError(f"{file} has no column {name}: it is no FOCUS 1.0 or 1.2 file; export the bill again")
    _check_cells(connection, file, source, present)
    return f"SELECT {', '.join(_cell(name, present) for name in (*TEXTS, *NUMBERS, *TIMES))} FROM {source}"


def _check_cells(connection: duckdb.DuckDBPyConnection, file: Path, source: str, present: set[str]) -> None:
    for name in (name for name in (*NUMBERS, *TIMES) if name in present):
        needed = f" OR {name} IS NULL" if name in REQUIRED else ""
        try:
            bad = connection.execute(
                f"SELECT n, value FROM (SELECT row_number() OVER () AS n, {name}::VARCHAR AS value, "
                f"{_cell(name, present).rpartition(' AS ')[0]} AS read FROM {source}) "
                f"WHERE (value IS NOT NULL AND read IS NULL){needed.replace(name, 'value')} LIMIT 1"
            ).fetchone()
        except duckdb.Error as error:
            raise BillError(f"{file} is damaged: {_first_line(error)}; export it again") from error
        if bad is not None:
            row, value = bad
            raise BillError(
                f"{file}, row {row + 1}, column {name}: {value!r} is no {'time' if name in TIMES else 'number'}; "
                "correct the row or export the bill again"
            )


def _cell(name: str, present: set[str]) -> str:
    column = name if name in present else OLDER_NAMES.get(name, "")
    if column not in present:
        return f"NULL::{_type(name)} AS {name}"
    if name in TIMES:
        return f"try_cast({column}::VARCHAR AS TIMESTAMPTZ) AS {name}"
    return f"try_cast({column} AS {_type(name)}) AS {name}"


def _type(name: str) -> str:
    return "DOUBLE" if name in NUMBERS else "TIMESTAMPTZ" if name in TIMES else "VARCHAR"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
