"""What is pushed by OTLP, read under limits: one point per Prometheus series, and what was not taken, by name.

Laws:
1. Nothing of a push is believed to be small: body, unpacked body, points, buckets, labels and names have limits.
2. A point that cannot be kept as it was meant is refused, counted and named (`partial_success`); the others are taken.
3. A histogram becomes `_bucket` with `le`, `_count` and `_sum`; an exponential one the same on powers of the root of
   two, a grid that stays while its scale changes, so that its series go on.
"""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    SummaryDataPoint,
)

from agent.collect.errors import BadPush
from agent.collect.otlp_names import IDENTITY, job_and_instance, labels_of, metric_name
from agent.store.samples import Labels

TARGET = "otlp"
"""What the targets of pushed series begin with."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_NOTHING = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_FINEST = 1
"""The scale that exponential histograms are brought down to: two buckets for each doubling."""
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class PushLimits:
    """Of one push."""

    body_bytes: int = 4 << 20
    unpacked_bytes: int = 8 << 20
    points: int = 50_000
    """Prometheus series: a histogram is one for each bucket."""
    buckets: int = 320
    labels: int = 64
    label_bytes: int = 4096
    name_bytes: int = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    target: str
    name: str
    labels: Labels
    value: float
    at_ns: int
    """By the sender's clock."""
    delta: bool = False
    """The value is what came since the point before."""
    nothing: bool = False
    """The sender says that there is no value any more."""


@dataclass(kw_only=True)
class Refusals:
    """Why points were not taken, and how many OTLP data points that concerns."""

    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, count: int = 1) -> None:
        if reason not in self.reasons and len(self.reasons) >= 100:
            reason = "other reasons"
        self.reasons[reason] += count

    @property
    def count(self) -> int:
        return self.reasons.total()

    def text(self) -> str:
        """The most frequent reasons."""
        said = [f"{reason} ({count})" for reason, count in self.reasons.most_common(_MOST_NAMED)]
        more = len(self.reasons) - len(said)
        return "; ".join(said) + (f"; and {more} more reasons" if more else "")


@dataclass(frozen=True, kw_only=True)
class Reading:
    points: list[Point]
    refusals: Refusals


def unpack(body: bytes, encoding: str, limits: PushLimits) -> bytes:
    """The body without its gzip; BadPush where it is over a limit or broken."""
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadPush(f"a body encoded as {encoding[:40]!r}: send gzip or none", number=415)
    unpacked = zlib.decompressobj(wbits=31)
    try:
        plain = unpacked.decompress(body, limits.unpacked_bytes + 1)
    except zlib.error as error:
        raise BadPush(f"the gzip body is broken: {error}") from error
    if len(plain) > limits.unpacked_bytes:
        raise BadPush(f"a body of over {limits.unpacked_bytes} bytes unpacked: send less at a time", number=413)
    if not unpacked.eof:
        raise BadPush("the gzip body was cut off")
    return plain


def parse(plain: bytes, kind: str) -> ExportMetricsServiceRequest:
    """The message of a body of one of the two content types; BadPush says what is wrong with it."""
    message = ExportMetricsServiceRequest()
    try:
        if kind == PROTOBUF:
            message.ParseFromString(plain)
            return message
        json_format.ParseDict(json.loads(plain), message, ignore_unknown_fields=True, max_recursion_depth=32)
        return message
    except (DecodeError, json_format.ParseError, ValueError, RecursionError) as error:
        raise BadPush(f"the body is no OTLP metrics request: {str(error)[:200]}") from error


def read(request: ExportMetricsServiceRequest, limits: PushLimits) -> Reading:
    """Every series of a push."""
    reading = Reading(points=[], refusals=Refusals())
    for pushed in request.resource_metrics:
        _read_resource(pushed, limits, reading)
    return reading


def _read_resource(pushed: ResourceMetrics, limits: PushLimits, reading: Reading) -> None:
    attributes = pushed.resource.attributes
    who = job_and_instance(attributes)
    target = "/".join([TARGET, *(value for _, value in reversed(who))])
    newest = 0
    for scope in pushed.scope_metrics:
        for metric in scope.metrics:
            for at_ns, points in _read_metric(metric, target, who, limits, reading.refusals):
                newest = max(newest, at_ns)
                if len(reading.points) + len(points) > limits.points:
                    reading.refusals.add(f"over {limits.points} series in one push: send less at a time")
                elif reason := _over(points, limits):
                    reading.refusals.add(f"{metric.name[:100]}: {reason}")
                else:
                    reading.points.extend(points)
    more = [pair for pair in attributes if pair.key not in IDENTITY]
    if who and more and newest:
        about = Point(target=target, name="target_info", labels=labels_of(more, who), value=1.0, at_ns=newest)
        if reason := _over([about], limits):
            reading.refusals.add(f"the resource's attributes: {reason}")
        else:
            reading.points.append(about)


def _over(points: Sequence[Point], limits: PushLimits) -> str:
    """Which limit points are over; those of one data point differ in `le` only, so that the first speaks for them."""
    point = points[0]
    if len(point.labels) > limits.labels:
        return f"{len(point.labels)} labels, {limits.labels} are taken"
    if any(len(value) > limits.label_bytes or len(name) > limits.name_bytes for name, value in point.labels):
        return f"a label of over {limits.label_bytes} bytes"
    if not point.name or len(point.name) > limits.name_bytes:
        return f"a name without a letter, or of over {limits.name_bytes} bytes"
    return ""


Read = tuple[int, Sequence[Point]]
"""One data point: its time and its series."""
Make = Callable[..., Point]


def _read_metric(metric: Metric, target: str, who: Labels, limits: PushLimits, refusals: Refusals) -> Iterator[Read]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    delta = kind not in ("gauge", "summary") and data.aggregation_temporality == _DELTA
    monotonic = kind == "sum" and data.is_monotonic
    if reason := _cannot(kind, delta=delta, monotonic=monotonic):
        if data.data_points:
            refusals.add(f"{metric.name[:100]}: {reason}", len(data.data_points))
        return
    name = metric_name(metric.name, metric.unit, monotonic=monotonic, gauge=kind == "gauge")
    for point in data.data_points:
        labels = labels_of(point.attributes, who)
        nothing = bool(point.flags & _NOTHING)

        def make(
            suffix: str,
            value: float,
            *more: tuple[str, str],
            at_ns: int = point.time_unix_nano,
            labels: Labels = labels,
            nothing: bool = nothing,
        ) -> Point:
            # Python orders pairs by name first, as Labels are.
            own = tuple(sorted((*labels, *more))) if more else labels
            return Point(
                target=target, name=name + suffix, labels=own, value=value, at_ns=at_ns, delta=delta, nothing=nothing
            )

        if reason := _misshapen(kind, point, limits):
            refusals.add(f"{metric.name[:100]}: {reason}")
        else:
            yield point.time_unix_nano, _SERIES[kind](point, make)


def _cannot(kind: str, *, delta: bool, monotonic: bool) -> str:
    if kind == "exponential_histogram" and delta:
        return "an exponential histogram in delta temporality: export cumulative, or explicit buckets"
    if kind == "sum" and delta and not monotonic:
        return "a sum in delta temporality that is not monotonic: export cumulative"
    return ""


def _misshapen(kind: str, point: HistogramDataPoint | ExponentialHistogramDataPoint, limits: PushLimits) -> str:
    if kind == "histogram":
        bounds, counts = len(point.explicit_bounds), len(point.bucket_counts)
        if counts and counts != bounds + 1:
            return f"a histogram of {counts} counts and {bounds} bounds"
        if counts > limits.buckets:
            return f"a histogram of {counts} buckets, {limits.buckets} are taken"
        if any(low >= high for low, high in itertools.pairwise(point.explicit_bounds)):
            return "a histogram whose bounds do not ascend"
    if kind == "exponential_histogram":
        if any(point.negative.bucket_counts):
            return "an exponential histogram with negative values: export explicit buckets"
        if len(point.positive.bucket_counts) > limits.buckets:
            return f"a histogram of {len(point.positive.bucket_counts)} buckets, {limits.buckets} are taken"
        if abs(point.scale) > 20 or abs(point.positive.offset) > 1 << 30:
            return f"an exponential histogram of scale {point.scale} and offset {point.positive.offset}"
    return ""


def _number(point: NumberDataPoint, make: Make) -> list[Point]:
    value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    return [make("", float(value))]


def _summed(point: HistogramDataPoint | ExponentialHistogramDataPoint, make: Make) -> list[Point]:
    found = [make("_count", float(point.count))]
    if point.HasField("sum"):
        found.append(make("_sum", point.sum))
    return found


def _histogram(point: HistogramDataPoint, make: Make) -> list[Point]:
    counts = itertools.accumulate(point.bucket_counts)
    found = [
        make("_bucket", float(count), ("le", bound_text(bound)))
        for bound, count in zip(point.explicit_bounds, counts, strict=False)
    ]
    return [*found, make("_bucket", float(point.count), ("le", "+Inf")), *_summed(point, make)]


def _exponential(point: ExponentialHistogramDataPoint, make: Make) -> list[Point]:
    """Buckets (base^i, base^(i+1)] with base 2^(2^-scale), merged until there are two for each doubling."""
    scale = min(point.scale, _FINEST)
    merged: dict[int, int] = {}
    for place, count in enumerate(point.positive.bucket_counts, start=point.positive.offset):
        index = place >> (point.scale - scale)
        merged[index] = merged.get(index, 0) + count
    total = point.zero_count
    found = [make("_bucket", float(total), ("le", bound_text(point.zero_threshold)))]
    for index, count in sorted(merged.items()):
        total += count
        exponent = (index + 1) * 2.0**-scale
        if exponent < 1024:
            found.append(make("_bucket", float(total), ("le", bound_text(2.0**exponent))))
    return [*found, make("_bucket", float(point.count), ("le", "+Inf")), *_summed(point, make)]


def _summary(point: SummaryDataPoint, make: Make) -> list[Point]:
    found = [make("", each.value, ("quantile", bound_text(each.quantile))) for each in point.quantile_values]
    return [*found, make("_count", float(point.count)), make("_sum", point.sum)]


_SERIES: dict[str, Callable[..., list[Point]]] = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}


def bound_text(bound: float) -> str:
    """A bound as Prometheus writes it: no exponent, no needless zero."""
    if math.isinf(bound):
        return "+Inf" if bound > 0 else "-Inf"
    return str(np.format_float_positional(bound, trim="-"))
