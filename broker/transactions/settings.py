"""Bounds and periods of the transaction coordinator, by the names and defaults of Kafka."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TransactionSettings:
    max_timeout_ms: int = 15 * 60 * 1000
    """transaction.max.timeout.ms"""
    expiration_ms: int = 7 * 24 * 60 * 60 * 1000
    """transactional.id.expiration.ms: unused for that long, an id is forgotten."""
    look_s: float = 1.0
    """Between looks for transactions that are overdue, or prepared and left behind by another coordinator."""
    wait_s: float = 1.0
    """How long an answer waits for the markers, so that the client's next transaction need not be told to wait."""
