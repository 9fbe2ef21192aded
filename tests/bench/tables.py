"""The bench's arithmetic and its tables: medians with their ranges, ratios with their bounds."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.arms import ELSEWHERE, OURS

RESAMPLES = 2000
_BASES = {OURS: "ours", ELSEWHERE: "objects elsewhere"}
"""Arms that the others are compared with, by what a column calls them."""


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The median of the rounds' ratios and its 90 % bounds."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One figure of an arm's rounds."""

    title: str
    of: Callable[[Any], float]
    digits: int = 1
    most: bool = False
    """The largest alone, not the median with its range."""
    over: str = ""
    """What its ratios to the other arms are called; empty: there are none."""

    def cell(self, rows: Sequence[Any]) -> str:
        values = [self.of(row) for row in rows]
        return f"{max(values):.0f}" if self.most else spread(values, self.digits)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ours over theirs, round by round; the bounds are the bootstrap's, seeded, so the same figures give the same."""
    each = [a / b for a, b in zip(ours, theirs, strict=True) if b > 0]
    if not each:  # CPU is counted in hundredths of a second: a small part of a load may take none
        return Ratio(low=math.nan, median=math.nan, high=math.nan)
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(each, k=len(each))) for _ in range(RESAMPLES))
    return Ratio(low=medians[RESAMPLES // 20], median=statistics.median(each), high=medians[-RESAMPLES // 20])


def spread(values: Sequence[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(name: str, columns: Sequence[Column], figures: Mapping[str, Sequence[Any]]) -> str:
    """A line for each arm; each arm of ours that is there is set against all."""
    bases = [(base, said) for base, said in _BASES.items() if base in figures]
    compared = [(base, said, column) for base, said in bases for column in columns if column.over]
    titles = ["arm", *(column.title for column in columns)]
    titles += [f"{column.over}, {said} over it" for _, said, column in compared]
    lines = [f"### {name}", "", f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for arm, rows in figures.items():
        cells = [arm, *(column.cell(rows) for column in columns)]
        cells += [
            str(ratio([column.of(row) for row in figures[base]], [column.of(row) for row in rows]))
            for base, _, column in compared
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
