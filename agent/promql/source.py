"""Where the engine reads: the seam between PromQL and whatever holds the samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from agent.promql.labels import LabelTable

Op = Literal["=", "!=", "=~", "!~"]
Measure = Literal["increase", "sum", "low", "high", "last"]
"""What a rollup keeps of its samples; `increase` has resets corrected, `last` is of use for one series a group."""


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """One condition on a label; regular expressions are RE2 and match the whole text."""

    name: str
    op: Op
    value: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """The series that match, in no order: their numbers in the source and their labels."""

    ids: NDArray[np.int32]
    labels: LabelTable


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Samples sorted by (series, time)."""

    row: NDArray[np.int32]
    """Index into the ids that were asked for."""
    times: NDArray[np.int64]
    """Milliseconds since 1970."""
    values: NDArray[np.float64]
    """NaN is a value."""
    stale: NDArray[np.bool_]
    """Where the sample says that the series ended (its value is of no use)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Grown:
    """One measure of groups of series in each five minutes; nothing for a bucket without samples."""

    group: NDArray[np.int32]
    start: NDArray[np.int64]
    """Milliseconds since 1970; a multiple of `BUCKET_MS`."""
    value: NDArray[np.float64]
    """Of all series of the group: increases and sums added up, the lowest low, the highest high."""
    count: NDArray[np.int64]
    """Samples behind it."""


BUCKET_MS = 300_000


class Source(Protocol):
    """What answers the engine's reads."""

    def select(self, matchers: Sequence[Matcher]) -> Selection:
        """All series that match, whenever they had samples."""

    def seen(self, ids: NDArray[np.int32], since_ms: int, until_ms: int) -> NDArray[np.bool_]:
        """Which of the series had samples with since <= time <= until; a source may be coarser, never stricter."""

    def read(self, ids: NDArray[np.int32], since_ms: int, until_ms: int, most: int) -> Samples:
        """Samples with since <= time <= until; TooMuch beyond `most`."""

    def grown(
        self, ids: NDArray[np.int32], groups: NDArray[np.int32], since_ms: int, until_ms: int, measure: Measure
    ) -> Grown | None:
        """Rollups that start in [since, until], made one by group; None where none are kept."""

    def lost(self, since_ms: int, until_ms: int, *, rolled: bool = False) -> list[str]:
        """What answers about [since, until] have to do without, in words; `rolled`: those from rollups."""
