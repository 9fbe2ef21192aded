"""One query under way: its steps, its settings, and what it has used up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from agent.promql.errors import TooMuch, TooSlow
from agent.promql.values import Ints

Edge = Literal["open", "closed"]
EDGES: Mapping[str, Edge] = MappingProxyType({"open": "open", "closed": "closed"})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How queries are answered, and the most that one of them may take."""

    range_edge: Edge = "open"
    """open: ranges and the lookback leave out their left edge, as Prometheus 3 has it; closed: as Prometheus 2."""
    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000
    """For `[5m:]`."""
    most_points: int = 11_000
    """Steps of one range query."""
    most_samples: int = 10_000_000
    """Loaded from the store or made on the way, by one query."""
    timeout_s: float = 30.0
    most_query_bytes: int = 16_384
    most_nesting: int = 64
    most_operators: int = 250


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The steps that an expression is evaluated at."""

    times: Ints
    """Milliseconds, ascending."""
    step_ms: int

    @property
    def steps(self) -> int:
        return len(self.times)

    @staticmethod
    def of(start_ms: int, end_ms: int, step_ms: int) -> Grid:
        """Steps from start to end, both included where they are met."""
        return Grid(times=np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64), step_ms=step_ms)


@dataclass(kw_only=True)
class Budget:
    """Counts samples and watches the deadline of one query, and gathers what is to be said of it."""

    most_samples: int
    deadline: float
    monotonic: Callable[[], float]
    samples: int = field(default=0, init=False)
    warnings: list[str] = field(default_factory=list, init=False)
    """What the asker should know of the answer."""

    def charge(self, samples: int) -> None:
        """TooMuch beyond the limit; TooSlow past the deadline."""
        self.samples += samples
        if self.samples > self.most_samples:
            raise TooMuch(
                f"query processing would load too many samples into memory in query execution: more than "
                f"{self.most_samples} (max_samples); narrow the selectors, shorten the range or widen the step"
            )
        self.check()

    @property
    def left(self) -> int:
        return self.most_samples - self.samples

    def check(self) -> None:
        """TooSlow past the deadline."""
        if self.monotonic() > self.deadline:
            raise TooSlow("query timed out in expression evaluation")
