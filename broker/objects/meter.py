"""What crossed the store's boundary, retries included: that is what a bill would say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Meter:
    """Counters for telemetry and for the bill; the event loop is the only writer."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, status) to count; status is ok, missing, exists or error. A multipart upload counts each part, its
    beginning and its end."""
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, in|out) to bytes; in is from the store."""
    on_request: Callable[[str, str, float], None] = lambda operation, status, seconds: None
    """Told operation, status and seconds of each."""

    def count(self, operation: str, status: str, seconds: float, requests: int = 1) -> None:
        self.requests[operation, status] += requests
        self.on_request(operation, status, seconds)
