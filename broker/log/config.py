"""The storage side's settings and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class LogsConfig:
    wal_url: str
    wal_bytes: int = 256 * MIB
    """Size of a new ring; an existing one keeps its own."""
    upload_interval_s: float = 60.0
    upload_bytes: int = 64 * MIB
    """Upload at once when this much waits."""
    own_object_bytes: int = 8 * MIB
    """A partition with more than this in one upload gets an object of its own."""
    tail_cache_bytes: int = 64 * MIB
    block_cache_bytes: int = 32 * MIB
    heartbeat_s: float = 1.0
    session_s: float = 3.0
    running_session_s: float = 15.0
    """For a broker of this host whose process is seen to run: it is starved of CPU or disk, not gone, and a failover
    would only add to that. A process that hangs for good is still replaced."""
    poll_s: float = 0.2
    lock_wait_s: float = 3.0
    """For the WAL's lock at the start."""
    orphan_s: float = 5.0
    """A partition that nobody owns waits this long for its preferred owner to come back."""
    housekeeping_s: float = 30.0
    """Between rounds of retention and of the sweeper."""
    prepared_ttl_s: float = 600.0
    marked_ttl_s: float = 600.0
    """Law 8: a marked object lives on for readers that still hold its range."""


def _ignore(*_: object) -> None:
    return


@dataclass(kw_only=True)
class StorageStats:
    """What telemetry reads or is told; the event loop is the only writer."""

    on_operation: Callable[[str, str, float], None] = _ignore
    """operation type (append_wal, upload, get), status (ok, error), seconds."""
    on_upload_bytes: Callable[[int], None] = _ignore
    wal_capacity_bytes: int = 0
    wal_errors: int = 0
    uploads: int = 0
    upload_failures: int = 0
    failovers: int = 0
    moves: int = 0
    live_objects: int = 0
    """Controller only, like the next."""
    live_object_bytes: int = 0
