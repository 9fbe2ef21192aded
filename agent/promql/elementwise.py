"""Functions of one element at a time: mathematics and calendar (UTC)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agent.promql.values import Floats, Ints

MATHS: dict[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": np.degrees,
    "rad": np.radians,
}


def rounded(values: Floats, to: Floats) -> Floats:
    """To the nearest multiple of `to`; halves go up."""
    inverse = 1.0 / to
    return np.floor(values * inverse + 0.5) / inverse


def _part(part: Callable[[Any], Ints]) -> Callable[[Floats], Floats]:
    def of(values: Floats) -> Floats:
        usable = np.isfinite(values) & (np.abs(values) < _MOST_SECONDS)
        days = np.where(usable, values, 0.0).astype(np.int64).astype("datetime64[s]")
        return np.where(usable, part(days).astype(np.float64), np.nan)

    return of


_MOST_SECONDS = 2.0**40


def _seconds_of_day(at: Any) -> Ints:
    found: Ints = (at - at.astype("datetime64[D]")).astype(np.int64)
    return found


def _month_days(at: Any) -> Ints:
    month = at.astype("datetime64[M]")
    found: Ints = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    return found


CALENDAR: dict[str, Callable[[Floats], Floats]] = {
    "minute": _part(lambda at: _seconds_of_day(at) // 60 % 60),
    "hour": _part(lambda at: _seconds_of_day(at) // 3600),
    "day_of_week": _part(lambda at: (at.astype("datetime64[D]").astype(np.int64) + 4) % 7),
    "day_of_month": _part(
        lambda at: (
            (at.astype("datetime64[D]") - at.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
        )
    ),
    "day_of_year": _part(
        lambda at: (
            (at.astype("datetime64[D]") - at.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1
        )
    ),
    "days_in_month": _part(_month_days),
    "month": _part(lambda at: at.astype("datetime64[M]").astype(np.int64) % 12 + 1),
    "year": _part(lambda at: at.astype("datetime64[Y]").astype(np.int64) + 1970),
}
