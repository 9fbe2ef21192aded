"""OpenTelemetry out: the agent's own traces and metrics, by OTLP over HTTP, where somebody said to whom.

Laws:
1. Nothing is imported or started while nobody asks for it.
2. What cannot be delivered is dropped and never waited for: spans queue up to a bound in a thread of their own, metrics
   are read once an interval in another, each call has a timeout, and the end waits `CLOSE_S` at most.
3. A receiver that fails is said once, and once more when it takes something again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracer, Tracer

from agent.model.clock import Clock

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric as Told
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from prometheus_client.core import Metric

log = logging.getLogger("streampilot.agent")

NAME = "streampilot-agent"
CLOSE_S = 3.0
INTERVAL_S = 60.0
LEAST_INTERVAL_S = 1.0
PROTOCOL = "http/protobuf"


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Where each signal goes; None: nowhere."""

    traces: str | None
    metrics: str | None
    notes: tuple[str, ...] = ()


def receivers(endpoint: str, environment: Mapping[str, str]) -> Receivers:
    """What the configured `endpoint`, else OpenTelemetry's own environment variables, say."""
    notes: list[str] = []
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Receivers(traces=None, metrics=None)
    found = {signal: _receiver(signal, endpoint.rstrip("/"), environment, notes) for signal in ("traces", "metrics")}
    return Receivers(traces=found["traces"], metrics=found["metrics"], notes=tuple(dict.fromkeys(notes)))


def _receiver(signal: str, endpoint: str, environment: Mapping[str, str], notes: list[str]) -> str | None:
    loud, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}", "OTEL_EXPORTER_OTLP"
    if "otlp" not in environment.get(f"OTEL_{signal.upper()}_EXPORTER", "otlp"):
        return None
    if endpoint:
        return f"{endpoint}/v1/{signal}"
    url, base = environment.get(f"{loud}_ENDPOINT", ""), environment.get(f"{common}_ENDPOINT", "").rstrip("/")
    if not url and not base:
        return None
    protocol = environment.get(f"{loud}_PROTOCOL") or environment.get(f"{common}_PROTOCOL") or PROTOCOL
    if protocol != PROTOCOL:
        notes.append(f"OTLP by {protocol} is not spoken: set {common}_PROTOCOL={PROTOCOL}, or otlp_endpoint")
        return None
    return url or f"{base}/v1/{signal}"


class Exporting:
    """What is exported while the agent runs."""

    def __init__(self, to: Receivers, *, clock: Clock, instance: str) -> None:
        self.tracer: Tracer = NoOpTracer()
        self._to = to
        self._clock = clock
        self._started_ns = self._now_ns()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._provider: TracerProvider | None = None
        for note in to.notes:
            log.warning("%s", note)
        if to.traces or to.metrics:
            # The SDK says every failed attempt; law 3 says it once.
            logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
            self._resource = _resource(instance)
        if to.traces:
            self._provider = _provider(to.traces, self._resource)
            self.tracer = self._provider.get_tracer("streampilot.agent")

    def follow(self, read: Callable[[], Iterable[Metric]], interval_s: float = INTERVAL_S) -> None:
        """Sends what `read` gives, once an interval and at the end."""
        if self._to.metrics:
            arguments = (self._to.metrics, read, max(LEAST_INTERVAL_S, interval_s))
            self._thread = threading.Thread(target=self._send, args=arguments, name="otlp-metrics", daemon=True)
            self._thread.start()

    def _send(self, url: str, read: Callable[[], Iterable[Metric]], interval_s: float) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult

        exporter: MetricExporter = OTLPMetricExporter(url)
        said = _Said(url)
        while True:
            ends = self._stop.wait(interval_s)
            try:
                data = _metrics_data(read(), self._resource, self._started_ns, self._now_ns())
                said.outcome(exporter.export(data) is MetricExportResult.SUCCESS)
            except Exception as error:
                said.outcome(False, f"{type(error).__name__}: {error}")
            if ends:
                return

    def unfollow(self) -> None:
        """Sends the metrics once more, while what they are read from is still open."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S / 2)

    def close(self) -> None:
        """Sends the spans that wait, and then no more; it and `unfollow` take `CLOSE_S` at most."""
        if not self._stop.is_set():
            self.unfollow()
        if self._provider is not None:
            ending = threading.Thread(target=self._provider.shutdown, name="otlp-end", daemon=True)
            ending.start()
            ending.join(CLOSE_S / 2)

    def _now_ns(self) -> int:
        return int(self._clock.now().timestamp() * 1e9)


def interval_of(environment: Mapping[str, str]) -> float:
    """OTEL_METRIC_EXPORT_INTERVAL in seconds."""
    text = environment.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return int(text) / 1000 if text.isdigit() else INTERVAL_S


def _resource(instance: str) -> Resource:
    from opentelemetry.sdk.resources import Resource

    from agent.loop.agent import VERSION

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": NAME}
    return Resource.create({**named, "service.version": VERSION, "service.instance.id": instance})


def _provider(url: str, resource: Resource) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Saying(SpanExporter):
        """The exporter, with law 3."""

        def __init__(self) -> None:
            self._inner = OTLPSpanExporter(url)
            self._said = _Said(url)

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result: SpanExportResult = self._inner.export(spans)
            self._said.outcome(result is SpanExportResult.SUCCESS)
            return result

        def shutdown(self) -> None:
            self._inner.shutdown()  # type: ignore[no-untyped-call]

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Saying()))
    return provider


class _Said:
    """Says that a receiver fails, or takes something again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._failing = False

    def outcome(self, taken: bool, reason: str = "") -> None:
        if not taken and not self._failing:
            log.warning("OTLP: %s takes nothing; it is dropped until it does. %s", self._url, reason)
        if taken and self._failing:
            log.info("OTLP: %s takes it again", self._url)
        self._failing = not taken


def _metrics_data(families: Iterable[Metric], resource: Resource, started_ns: int, now_ns: int) -> MetricsData:
    """Counters and gauges as the SDK's exporter takes them; a counter's name goes without its `_total`."""
    from opentelemetry.sdk.metrics import export
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    def told(family: Metric) -> Told:
        points = [
            export.NumberDataPoint(
                attributes=dict(sample.labels),
                start_time_unix_nano=started_ns,
                time_unix_nano=now_ns,
                value=float(sample.value),
            )
            for sample in family.samples
        ]
        data: export.Sum | export.Gauge = export.Gauge(points)
        if family.type == "counter":
            data = export.Sum(points, export.AggregationTemporality.CUMULATIVE, True)
        return export.Metric(family.name, family.documentation, "", data)

    metrics = [told(family) for family in families if family.samples]
    scope = export.ScopeMetrics(InstrumentationScope("streampilot.agent"), metrics, "")
    return export.MetricsData([export.ResourceMetrics(resource, [scope], "")])
