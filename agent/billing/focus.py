"""FOCUS 1.0 and 1.2 as the clouds export it: the same table, with a column moved or a cell spelled otherwise.

| from | quirk |
|---|---|
| AWS 1.0 | the usage type is `x_UsageType`; in 1.2 it became `SkuMeter` |
| Azure | times without seconds (`2026-11-01T00:00Z`); tags without braces; the meter's name is `x_SkuMeterName` |
| GCP | times with ` UTC`; tags as a list of (key, value); the meter is the SKU's description |
| the public sample | NULL spelled as text; a column `Id` that is none of FOCUS's |
"""

from __future__ import annotations

from agent.billing.columns import NUMBERS, TIMES
from agent.billing.dialect import Dialect, Present, first_of, moment, number, tags

SPELLINGS = {
    "SkuMeter": ("SkuMeter", "x_UsageType", "x_SkuMeterName", "x_SkuDescription"),
    "ServiceSubcategory": ("ServiceSubcategory", "x_SkuMeterSubcategory"),
}
"""A 1.2 column to what it is called where it is not."""


def _cell(name: str, present: Present) -> str | None:
    column = first_of(SPELLINGS.get(name, (name,)), present)
    if column is None:
        return None
    if name == "Tags":
        return tags(column, present["tags"])
    if name in TIMES:
        return moment(column)
    return number(column) if name in NUMBERS else f"{column}::VARCHAR"


FOCUS = Dialect(
    name="FOCUS 1.0 or 1.2",
    required=("BilledCost", "ChargePeriodStart", "ChargePeriodEnd", "ServiceName"),
    filled=("BilledCost", "ChargePeriodStart", "ChargePeriodEnd"),
    numbers=NUMBERS,
    times=TIMES,
    cell=_cell,
)
