"""What the storage side shows: latencies and sizes at its edges, its WAL, caches, compaction and objects."""

from __future__ import annotations

from collections.abc import Mapping

from broker.log.config import CacheStats, StorageStats
from broker.telemetry.exposition import Page
from broker.telemetry.histogram import LATENCY_S, SIZE_BYTES, Histogram

_LATENCY = "kafka_stream_operation_latency_seconds"
_UPLOAD_SIZE = "kafka_stream_upload_size_bytes"


class StorageTimes:
    """Told as things happen; shown by the page."""

    def __init__(self) -> None:
        self._latency: dict[tuple[str, str], Histogram] = {}
        self._upload_size = Histogram(SIZE_BYTES)

    def operation(self, operation: str, status: str, seconds: float) -> None:
        """append_wal, upload and so on; `status` other than error is a success, so is finding an object gone."""
        key = (operation, "failed" if status == "error" else "success")
        histogram = self._latency.get(key)
        if histogram is None:
            histogram = self._latency[key] = Histogram(LATENCY_S)
        histogram.observe(seconds)

    def uploaded(self, size_bytes: int) -> None:
        """One object was uploaded."""
        self._upload_size.observe(size_bytes)

    def write(self, page: Page) -> None:
        """Its series, under AutoMQ's names."""
        if self._latency:
            page.family(_LATENCY)
        for (operation, status), histogram in self._latency.items():
            histogram.write(page, _LATENCY, (("operation_type", operation), ("status", status)))
        page.family(_UPLOAD_SIZE)
        self._upload_size.write(page, _UPLOAD_SIZE, ())


def write_operations(page: Page, stats: StorageStats, unreachable_partitions: int) -> None:
    """How often things were done, and what is under way."""
    page.table("kafka_stream_upload_count_total", _tries(stats.uploads, stats.upload_failures))
    page.one("kafka_stream_move_count_total", stats.moves)
    page.one("kafka_stream_drain_count_total", stats.drains)
    page.one("kafka_stream_failover_count_total", stats.failovers)
    page.one("kafka_stream_recovery_running_count", stats.recoveries_running)
    page.one("kafka_stream_unreachable_wal_partition_count", unreachable_partitions)
    page.one("kafka_stream_producers_held", float(stats.producers_held))
    page.one("kafka_stream_producer_holds_total", stats.holds)


def write_caches(page: Page, caches: Mapping[str, CacheStats]) -> None:
    """Each cache under its name."""
    for figure, name in (
        ("hits", "kafka_stream_cache_hits_total"),
        ("misses", "kafka_stream_cache_misses_total"),
        ("shared", "kafka_stream_cache_shared_total"),
        ("prefetches", "kafka_stream_cache_prefetches_total"),
        ("wasted", "kafka_stream_cache_wasted_total"),
        ("held_bytes", "kafka_stream_cache_bytes"),
        ("limit_bytes", "kafka_stream_cache_limit_bytes"),
    ):
        page.table(name, {(cache,): getattr(stats, figure) for cache, stats in caches.items()})


def write_compaction(page: Page, stats: StorageStats) -> None:
    """Objects compacted, and logs cleaned."""
    page.table("kafka_stream_compaction_count_total", _tries(stats.compactions, stats.compaction_failures))
    moved = {("in",): stats.compaction_bytes_in, ("out",): stats.compaction_bytes_out}
    page.table("kafka_stream_compaction_bytes_total", moved)
    page.one("kafka_stream_compacted_object_count_total", stats.compacted_objects)
    page.one("kafka_stream_missing_object_count", stats.missing_objects)
    page.table("kafka_stream_cleaning_count_total", _tries(stats.cleanings, stats.cleaning_failures))
    page.one("kafka_stream_cleaning_seconds_total", stats.cleaning_seconds)
    page.one("kafka_stream_cleaned_record_count_total", stats.cleaned_records)
    page.one("kafka_stream_unopened_batch_count_total", stats.unopened_batches)
    page.one("kafka_stream_dirtiest_ratio", stats.dirtiest_ratio)


def write_objects(page: Page, stats: StorageStats, *, controller: bool) -> None:
    """The limiter's queues, and what the controller knows of all objects."""
    page.table("kafka_stream_limiter_waiting_count", {(name,): n for name, n in stats.limiter_waiting.items()})
    page.table("kafka_stream_limiter_bytes_total", {(name,): n for name, n in stats.limiter_bytes.items()})
    page.one("kafka_stream_swept_object_count_total", stats.swept_objects)
    page.one("kafka_stream_unknown_object_count_total", stats.unknown_objects)
    if controller:
        page.one("kafka_stream_object_count", stats.live_objects)
        page.one("kafka_stream_object_bytes", stats.live_object_bytes)
        page.one("kafka_stream_prepared_object_count", stats.prepared_objects)
        page.one("kafka_stream_marked_object_count", stats.marked_objects)
        page.one("kafka_stream_marked_object_bytes", stats.marked_object_bytes)
    if stats.snapshot_at_ms:
        page.one("streampilot_metadata_snapshot_timestamp_seconds", stats.snapshot_at_ms / 1000)
        page.one("streampilot_metadata_snapshot_bytes", stats.snapshot_bytes)


def _tries(done: int, failed: int) -> dict[tuple[str], int]:
    return {("success",): done, ("failed",): failed}
