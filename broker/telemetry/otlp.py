"""What a client pushes (KIP-714): OTLP metrics, compressed; read under caps, since anybody may send anything.

A push becomes one number per metric: counters add up over their data points (nodes, topics), gauges show the largest,
histograms their mean. More than that would be a series per client, metric, topic and node.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, MetricsData

from broker.errors import InvalidRecord, UnsupportedCompressionType
from broker.records.codecs import Decoder, TooLarge, Undecodable

MAX_BYTES = 256 * 1024
"""Of one push, as sent. Kafka's `telemetry.max.bytes` is a MiB by default; a Java client sends 30 KB."""
_MAX_DECOMPRESSED_BYTES = 2 * 1024 * 1024
_MAX_POINTS = 10_000
_MAX_NAME = 100
MAX_METRICS = 300
"""Of one client."""
CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
"""By the number on the wire."""
PREFIX = "org.apache.kafka."
"""Of the metrics that are asked for; their series go without it."""


def read_push(codec: int, data: bytes | memoryview) -> dict[str, float]:
    """Metric to value. InvalidRecord or UnsupportedCompressionType; for a thread, since a push takes milliseconds."""
    if codec not in CODECS:
        raise UnsupportedCompressionType(f"telemetry in compression type {codec}; 0 to 4 are known")
    found: dict[str, float] = {}
    try:
        plain = Decoder(_MAX_DECOMPRESSED_BYTES).decode(CODECS[codec], data)
        pushed = MetricsData.FromString(bytes(plain))
    except (TooLarge, Undecodable, DecodeError) as error:
        raise InvalidRecord(f"telemetry that cannot be read: {error}") from error
    points = 0
    for resource in pushed.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                name = metric.name.removeprefix(PREFIX)[:_MAX_NAME]
                count, value = _value(metric)
                points += count
                if points > _MAX_POINTS or len(found) >= MAX_METRICS:
                    return found
                if value is not None and value == value and name:
                    found[name] = value
    return found


def _value(metric: Metric) -> tuple[int, float | None]:
    """(number of data points, what they come to)."""
    kind = metric.WhichOneof("data")
    if kind == "sum" or kind == "gauge":
        points = (metric.sum if kind == "sum" else metric.gauge).data_points
        values = [p.as_double if p.WhichOneof("value") == "as_double" else float(p.as_int) for p in points]
        if not values:
            return 0, None
        return len(values), sum(values) if kind == "sum" else max(values)
    if kind == "histogram":
        count = sum(point.count for point in metric.histogram.data_points)
        total = sum(point.sum for point in metric.histogram.data_points)
        return len(metric.histogram.data_points), total / count if count else None
    return 0, None
