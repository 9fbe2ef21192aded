"""OpenTelemetry out: the page of /metrics, and the broker's larger works as spans, by OTLP over HTTP where it is asked.

1. Nothing is imported or started while nobody asks.
2. What is done hundreds of times a second (groups of the WAL, reads) is in the metrics and has no spans.
3. Sending is a thread's business with a queue and timeouts; what cannot be delivered is dropped, and said once.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from broker.clock import Clock

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Tracer

SPANS = frozenset({"upload", "move", "compact", "failover", "drain"})
INTERVAL_S = 60.0
LEAST_INTERVAL_S = 1.0
CLOSE_S = 2.0
PAGE_S = 30.0
"""For the page, which the loop writes for the thread that sends it."""
_PROTOCOL = "http/protobuf"
_PREFIX = "OTEL_EXPORTER_OTLP"


Told = Callable[[str, str, float], None]
"""Operation, status, seconds."""


class Asked(Protocol):
    """What the broker's flags say."""

    @property
    def otlp_endpoint(self) -> str: ...

    @property
    def cluster(self) -> str: ...

    @property
    def id(self) -> int: ...


class Answer(Protocol):
    """What serves the page gives its text."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Where each signal goes; empty: nowhere."""

    traces: str = ""
    metrics: str = ""
    interval_s: float = INTERVAL_S
    note: str = ""
    """Why nothing goes anywhere although somebody asked."""


def receivers(endpoint: str, environment: Mapping[str, str]) -> Receivers:
    """`--otlp-endpoint`, else OpenTelemetry's own environment variables."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Receivers()
    base = (endpoint or environment.get(f"{_PREFIX}_ENDPOINT", "")).rstrip("/")
    found: dict[str, str] = {}
    for signal in ("traces", "metrics"):
        loud = signal.upper()
        own = "" if endpoint else environment.get(f"{_PREFIX}_{loud}_ENDPOINT", "")
        if "otlp" not in environment.get(f"OTEL_{loud}_EXPORTER", "otlp") or not (own or base):
            continue
        spoken = environment.get(f"{_PREFIX}_{loud}_PROTOCOL") or environment.get(f"{_PREFIX}_PROTOCOL") or _PROTOCOL
        if spoken != _PROTOCOL and not endpoint:
            return Receivers(note=f"OTLP by {spoken} is not spoken: set {_PREFIX}_PROTOCOL={_PROTOCOL}")
        found[signal] = own or f"{base}/v1/{signal}"
    every = environment.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    interval_s = max(LEAST_INTERVAL_S, int(every) / 1000) if every.isdigit() else INTERVAL_S
    return Receivers(traces=found.get("traces", ""), metrics=found.get("metrics", ""), interval_s=interval_s)


class Exporting:
    """Of one broker. `read` gives the page and may block; it is called in a thread."""

    def __init__(
        self,
        to: Receivers,
        *,
        clock: Clock,
        about: Mapping[str, str],
        read: Callable[[], str],
        say: Callable[[str], None],
    ) -> None:
        """`about`: the resource's attributes."""
        self._to, self._clock, self._read, self._say = to, clock, read, say
        self._started_ns = clock.wall_ms() * 1_000_000
        self._stop = threading.Event()
        self._failing: set[str] = set()
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None
        if to.note:
            say(to.note)
        if not to.traces and not to.metrics:
            return
        # The SDK says every failed attempt; this says it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = _resource(about)
        if to.traces:
            self._provider = self._make_provider(to.traces)
            self._tracer = self._provider.get_tracer("streampilot.broker")
        if to.metrics:
            threading.Thread(target=self._send, args=(to.metrics,), name="otlp-metrics", daemon=True).start()

    def beside(self, first: Told) -> Told:
        """`first`, and a span for each work that it is told of."""
        if self._tracer is None:
            return first

        def both(operation: str, status: str, seconds: float) -> None:
            first(operation, status, seconds)
            self.operation(operation, status, seconds)

        return both

    def operation(self, operation: str, status: str, seconds: float) -> None:
        """A work that has just ended."""
        if self._tracer is None or operation not in SPANS:
            return
        from opentelemetry.trace import Status, StatusCode

        now_ns = self._clock.wall_ms() * 1_000_000
        span = self._tracer.start_span(operation, start_time=now_ns - int(seconds * 1e9))
        if status == "error":
            span.set_status(Status(StatusCode.ERROR))
        span.end(now_ns)

    def close(self) -> None:
        """Sends the spans that wait, for `CLOSE_S` at most; blocking."""
        self._stop.set()
        if self._provider is not None:
            ending = threading.Thread(target=self._provider.shutdown, name="otlp-end", daemon=True)
            ending.start()
            ending.join(CLOSE_S)

    def _outcome(self, url: str, taken: bool, reason: str = "") -> None:
        if not taken and url not in self._failing:
            self._failing.add(url)
            self._say(f"OTLP: {url} takes nothing; it is dropped until it does. {reason}".strip())
        elif taken and url in self._failing:
            self._failing.remove(url)
            self._say(f"OTLP: {url} takes it again")

    def _make_provider(self, url: str) -> TracerProvider:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

        outcome = self._outcome

        class Saying(OTLPSpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                result: SpanExportResult = super().export(spans)
                outcome(url, result is SpanExportResult.SUCCESS)
                return result

        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(Saying(url)))
        return provider

    def _send(self, url: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult

        exporter = OTLPMetricExporter(url)
        while not self._stop.wait(self._to.interval_s):
            try:
                data = metrics_data(self._read(), self._resource, self._started_ns, self._clock.wall_ms() * 1_000_000)
                self._outcome(url, exporter.export(data) is MetricExportResult.SUCCESS)
            except Exception as error:
                self._outcome(url, False, f"{type(error).__name__}: {error}")


def exporting(
    asked: Asked, clock: Clock, page: Callable[[], Coroutine[Any, Any, Answer]], say: Callable[[str], None]
) -> Exporting:
    """For the broker whose loop is running; `page` is asked on it."""
    loop = asyncio.get_running_loop()

    def read() -> str:
        return asyncio.run_coroutine_threadsafe(page(), loop).result(PAGE_S).text

    about = {"service.instance.id": f"{asked.cluster}/{asked.id}", "service.version": version("streampilot")}
    return Exporting(receivers(asked.otlp_endpoint, os.environ), clock=clock, about=about, read=read, say=say)


def _resource(about: Mapping[str, str]) -> Resource:
    from opentelemetry.sdk.resources import Resource

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "streampilot-broker"}
    return Resource.create({**named, **about})


def metrics_data(page: str, resource: Resource, started_ns: int, now_ns: int) -> MetricsData:
    """The page as the SDK's exporter takes it; a counter's name goes without its `_total`."""
    from opentelemetry.sdk.metrics import export
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from prometheus_client.parser import text_string_to_metric_families

    cumulative = export.AggregationTemporality.CUMULATIVE
    told = []
    for family in text_string_to_metric_families(page):
        if family.type == "histogram":
            points = _histograms(family.samples, started_ns, now_ns)
            told.append(export.Metric(family.name, family.documentation, "", export.Histogram(points, cumulative)))
            continue
        numbers = [
            export.NumberDataPoint(dict(sample.labels), started_ns, now_ns, float(sample.value))
            for sample in family.samples
        ]
        data: export.Sum | export.Gauge = export.Gauge(numbers)
        if family.type == "counter":
            data = export.Sum(numbers, cumulative, True)
        told.append(export.Metric(family.name, family.documentation, "", data))
    scope = export.ScopeMetrics(InstrumentationScope("streampilot.broker"), told, "")
    return export.MetricsData([export.ResourceMetrics(resource, [scope], "")])


def _histograms(samples: Sequence[Any], started_ns: int, now_ns: int) -> list[Any]:
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in samples:
        key = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if "le" in sample.labels:
            buckets.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_sum"):
            sums[key] = sample.value
    points = []
    for key, found in buckets.items():
        found.sort()
        totals = [0.0, *(total for _, total in found)]
        counts = [int(high - low) for low, high in itertools.pairwise(totals)]
        bounds = [bound for bound, _ in found[:-1]]
        total = sums.get(key, 0.0)
        # The page knows neither minimum nor maximum, and OTLP may leave both out.
        unknown: Any = None
        points.append(
            HistogramDataPoint(
                dict(key), started_ns, now_ns, int(totals[-1]), total, counts, bounds, min=unknown, max=unknown
            )
        )
    return points
