"""The billing table's columns: FOCUS 1.2's names, and our own, which start with `x_` as FOCUS has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

TEXTS = (
    "BillingAccountId",
    "SubAccountId",
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
    "x_Operation",
    "ConsumedUnit",
    "BillingCurrency",
    "ProviderName",
    "CommitmentDiscountId",
    "Tags",
)
NUMBERS = ("ConsumedQuantity", "BilledCost", "EffectiveCost", "ListCost")
TIMES = ("ChargePeriodStart", "ChargePeriodEnd")
NAMES = (*TEXTS, *NUMBERS, *TIMES)
"""Every column that an adapter gives, in order."""

VIEW_COLUMNS = (
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
    "x_Component",
    "x_Owner",
)
"""What the `bill` view has."""


def kind_of(name: str) -> str:
    """The column's DuckDB type."""
    return "DOUBLE" if name in NUMBERS else "TIMESTAMPTZ" if name in TIMES else "VARCHAR"


def no_rows() -> str:
    """SQL of the empty table."""
    return f"SELECT {', '.join(f'NULL::{kind_of(name)} AS {name}' for name in NAMES)} WHERE false"


def quoted(text: str) -> str:
    """A SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def first_line(error: Exception) -> str:
    """An error in one line of bounded length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def keep(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """Writes rows that an API gave (FOCUS name to cell) to a temporary table; SQL that reads it."""
    kept: Sequence[Mapping[str, Any]] = list(rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {no_rows()}")
    if kept:
        used = [name for name in NAMES if any(row.get(name) is not None for row in kept)]
        values = ", ".join(f"unnest(${n}::VARCHAR[])::{kind_of(name)}" for n, name in enumerate(used, 1))
        cells = [[None if row.get(name) is None else str(row[name]) for row in kept] for name in used]
        connection.execute(f"INSERT INTO {table} ({', '.join(used)}) SELECT {values}", cells)
    return f"SELECT {', '.join(NAMES)} FROM {table}"
