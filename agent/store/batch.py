"""What one round of collecting hands to the store: columns, never rows, committed whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
"""Column name to values, all of one length."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    at: datetime
    """The instant of every row in it: the start of the round by the agent's clock."""
    series: NDArray[np.int32]
    values: NDArray[np.float64]
    tables: dict[str, Columns] = field(default_factory=dict)
    """Kind (`agent.store.hours.KINDS`) to its columns without `ts`."""
    ended: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    """Series that gave no sample any more: each gets a stale marker, a row without a value."""

    @property
    def rows(self) -> int:
        return len(self.series)


def texts(values: list[str | None]) -> NDArray[Any]:
    """A VARCHAR column."""
    return objects(values)


def objects(values: list[Any]) -> NDArray[Any]:
    """A column of text or lists; numpy would make a matrix of lists of one length."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def instant(at: datetime) -> np.datetime64:
    """A time as numpy has it: UTC, without a zone."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def from_instant(value: np.datetime64) -> datetime:
    """The aware time of a numpy instant."""
    moment: datetime = value.astype("datetime64[us]").item()
    return moment.replace(tzinfo=UTC)
