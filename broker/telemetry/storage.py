"""Latencies and sizes at the edges of the broker: the WAL's groups, uploads, and requests to the object store."""

from __future__ import annotations

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
        """append_wal, upload or get; `status` other than error is a success, an object that was missing included."""
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
            page.family(_LATENCY, "histogram", "Time of WAL groups, of uploads and of reads from objects.")
        for (operation, status), histogram in self._latency.items():
            histogram.write(page, _LATENCY, (("operation_type", operation), ("status", status)))
        page.family(_UPLOAD_SIZE, "histogram", "Size of uploaded objects.")
        self._upload_size.write(page, _UPLOAD_SIZE, ())
