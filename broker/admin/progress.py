"""What a broker remembers of the drains it was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class Drain:
    """One that this process was asked for."""

    id: int
    broker: int
    total: int
    begun: float
    """Monotonic, like the next."""
    deadline: float
    seconds: float | None = None
    """How long it took; None while partitions are left."""
