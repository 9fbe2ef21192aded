"""The storage side's settings and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from broker.wal.base import PENDING_BYTES

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class LogsConfig:
    wal_url: str
    broker_configs: Mapping[str, str] = field(default_factory=dict)
    """Broker configs this broker was started with, by Kafka's names."""
    wal_bytes: int = 256 * MIB
    """Size of a new ring; an existing one keeps its own."""
    wal_pace_s: float = 0.0
    """Between two slots of an object WAL at least."""
    upload_interval_s: float = 60.0
    upload_bytes: int = 64 * MIB
    """Upload at once when this much waits."""
    own_object_bytes: int = 8 * MIB
    """A partition with more than this in one upload gets an object of its own."""
    pending_limit_bytes: int = PENDING_BYTES
    """What may wait for upload; never more than the WAL holds."""
    tail_cache_bytes: int = 64 * MIB
    block_cache_bytes: int = 32 * MIB
    read_ahead_bytes: int = 4 * MIB
    """How far ahead of a catch-up reader its next blocks are asked for."""
    heartbeat_s: float = 1.0
    session_s: float = 3.0
    absent_session_s: float = 1.5
    """For a broker at whose inter-broker address nobody listens any more: its process is gone, its host is not."""
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
    snapshot_s: float = 300.0
    """Between copies of the metadata in the bucket, made by the controller."""
    prepared_ttl_s: float = 600.0
    marked_ttl_s: float = 600.0
    """Law 8: a marked object lives on for readers that still hold its range."""
    reconcile_prefixes: int = 1
    """Of the 256 of a bucket, listed for objects that no row knows in each round of housekeeping."""
    compact_shared_s: float = 300.0
    """Between compactions of shared objects."""
    compact_partitions_s: float = 1800.0
    """Between merges of small objects of single partitions."""
    compact_round_bytes: int = 1024 * MIB
    """Read at most in one round; what is left makes the next one come soon."""
    compact_object_bytes: int = 32 * MIB
    """Of a compacted object at most: that much is held in memory, twice while it is put together."""
    compact_own_bytes: int = 4 * MIB
    """A partition with less in the shared objects at hand is shared again."""
    clean_s: float = 15.0
    """Between looks for logs of cleanup.policy=compact that are dirty enough."""
    clean_keys: int = 1_000_000
    """Keys of one cleaning at most, about 120 bytes of the worker's memory each."""
    clean_batch_bytes: int = 32 * MIB
    """A batch that decompresses to more is left as it is (law 2)."""
    clean_round_bytes: int = 4096 * MIB
    """Decompressed at most in one cleaning."""
    clean_timeout_s: float = 600.0
    """For one log; the worker is killed after it."""


BASE_BYTES = 128 * MIB
"""Interpreter, libraries, metadata of a few thousand partitions."""
REQUEST_BYTES = 64 * MIB
"""Requests and answers under way, as producers and consumers at full speed have them."""
UPLOAD_BYTES = 4 * 2 * 32 * MIB
"""Objects that are built and sent side by side: each once as built, once as sent (uploader.py)."""
INDEX_BYTES = 16 * MIB
RUN_BYTES = 24 * MIB
"""Indexes kept, and blocks on their way from the store (blocks.py)."""


def memory_bound_bytes(config: LogsConfig) -> int:
    """What a broker's resident memory stays below, by its flags (docs/config.md)."""
    pending = min(config.pending_limit_bytes, config.wal_bytes)
    caches = max(config.tail_cache_bytes, pending) + config.block_cache_bytes + INDEX_BYTES + RUN_BYTES
    compaction = 2 * config.compact_object_bytes
    slots = 0 if config.wal_url.startswith("file://") else pending  # an object WAL packs what it sends
    return BASE_BYTES + REQUEST_BYTES + UPLOAD_BYTES + caches + compaction + slots


def _ignore(*_: object) -> None:
    return


@dataclass(kw_only=True)
class CacheStats:
    """One cache, kept up to date by whoever holds it."""

    hits: int = 0
    misses: int = 0
    held_bytes: int = 0
    limit_bytes: int = 0
    shared: int = 0
    """Misses that waited for a GET that was under way already."""
    prefetches: int = 0
    """GETs ahead of a reader."""
    wasted: int = 0
    """Blocks that were fetched ahead and dropped unread."""


@dataclass(kw_only=True)
class StorageStats:
    """What telemetry reads or is told; the event loop is the only writer."""

    on_operation: Callable[[str, str, float], None] = _ignore
    """operation type (append_wal, upload, get, compact, move, drain, failover), status (ok, error), seconds."""
    on_upload_bytes: Callable[[int], None] = _ignore
    on_hold: Callable[[bool], None] = _ignore
    """Told when producers' sockets should not be read any more, and when they may be again."""
    producers_held: bool = False
    holds: int = 0
    wal_capacity_bytes: int = 0
    wal_errors: int = 0
    uploads: int = 0
    upload_failures: int = 0
    failovers: int = 0
    moves: int = 0
    drains: int = 0
    snapshot_at_ms: int = 0
    """When this broker last put a copy of the metadata into the bucket; 0 for never."""
    snapshot_bytes: int = 0
    recoveries_running: int = 0
    """Recoveries this broker is at work on, its own at the start included."""
    unreachable_wals: set[int] = field(default_factory=set)
    """Dead brokers whose WAL this one should replay and cannot reach: their partitions stay offline, which is said."""
    tail: CacheStats = field(default_factory=CacheStats)
    """The tail cache: a hit is a read that needed no object."""
    index: CacheStats = field(default_factory=CacheStats)
    """Indexes of objects."""
    block: CacheStats = field(default_factory=CacheStats)
    """The block cache of catch-up readers."""
    compactions: int = 0
    """Runs, whatever they compacted."""
    compaction_failures: int = 0
    compaction_bytes_in: int = 0
    compaction_bytes_out: int = 0
    compacted_objects: int = 0
    """Whose place others took, wholly or in part."""
    missing_objects: int = 0
    """Objects that ranges point at and that are gone or damaged: their partitions are not compacted any more."""
    cleanings: int = 0
    """Logs of cleanup.policy=compact cleaned."""
    cleaning_failures: int = 0
    cleaning_seconds: float = 0.0
    cleaned_records: int = 0
    """Records that cleanup.policy=compact removed."""
    cleaned_without_key: int = 0
    """Of those, the ones that had no key."""
    unopened_batches: int = 0
    """Batches met by the cleaner that decompress to too much, or not at all."""
    dirtiest_ratio: float = 0.0
    """Of the logs of cleanup.policy=compact here, at the last look."""
    limiter_waiting: dict[str, int] = field(default_factory=dict)
    """Requests that wait for bandwidth, by class (tail, catch_up, compaction)."""
    limiter_bytes: dict[str, int] = field(default_factory=dict)
    """Bytes that were let through, by class."""
    live_objects: int = 0
    """Controller only, like the next five."""
    live_object_bytes: int = 0
    prepared_objects: int = 0
    marked_objects: int = 0
    marked_object_bytes: int = 0
    """Stored, and paid for, until they are swept."""
    swept_objects: int = 0
    unknown_objects: int = 0
    """Deleted because no row knew them."""
