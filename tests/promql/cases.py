"""The compliance queries and their variants, as the compliance tester expands them."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("compliance_queries.yml")
_ARITHMETIC = ("+", "-", "*", "/", "%", "^")
_COMPARISON = ("==", "!=", "<", ">", "<=", ">=")
VARIANTS: dict[str, tuple[str, ...]] = {
    "range": ("1s", "15s", "1m", "5m", "15m", "1h"),
    "offset": ("1m", "5m", "10m"),
    "simpleAggrOp": ("sum", "avg", "max", "min", "count", "stddev", "stdvar"),
    "simpleTimeAggrOp": ("sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"),
    "topBottomOp": ("topk", "bottomk"),
    "quantile": ("-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"),
    "arithBinOp": _ARITHMETIC,
    "compBinOp": _COMPARISON,
    "binOp": _ARITHMETIC + _COMPARISON,
    "simpleMathFunc": ("abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"),
    "extrapolatedRateFunc": ("delta", "rate", "increase"),
    "clampFunc": ("clamp_min", "clamp_max"),
    "instantRateFunc": ("idelta", "irate"),
    "dateFunc": ("day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"),
}


@dataclass(frozen=True, kw_only=True)
class Case:
    query: str
    should_fail: bool


def cases() -> list[Case]:
    """Every query with every combination of its variants."""
    found = []
    for each in yaml.safe_load(FILE.read_text("utf-8"))["test_cases"]:
        names = each.get("variant_args", [])
        for values in itertools.product(*(VARIANTS[name] for name in names)):
            query = str(each["query"])
            for name, value in zip(names, values, strict=True):
                query = re.sub(r"\{\{\s*\." + name + r"\s*\}\}", lambda _, value=value: value, query)
            found.append(Case(query=query, should_fail=bool(each.get("should_fail"))))
    return found
