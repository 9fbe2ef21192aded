"""What bounds a plan. The executor checks its own caps again: a plan from elsewhere gets no further than these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, kw_only=True)
class PlanSettings:
    max_moves: int = 50
    """Moves of one plan; what is left over goes into the next one, made from fresh loads."""
    limit: float = 1.25
    """Busiest broker over mean: what BAL-01 calls balanced."""
    aim: float = 1.18
    """What is aimed at, under the limit: traffic wanders between the plan and its verification."""
    lifetime: timedelta = timedelta(minutes=15)
    solver_seconds: float = 10.0
    throttle_bytes_per_s: int = 50 << 20
    """What a copy may take of a broker's network, in and out each; Apache Kafka only, elsewhere nothing is copied."""
