"""OpenTelemetry out: what a real broker sends to a real receiver, and nothing where nobody asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from broker.telemetry.exporting import Exporting, receivers


class Receiver:
    """Keeps what comes; `refuse` answers 400 instead."""

    def __init__(self) -> None:
        self.refuse = False
        self.metrics: list[Any] = []
        self.spans: list[Any] = []
        self.came = threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(400 if outer.refuse else 200)
                self.send_header("content-length", "0")
                self.end_headers()
                if self.path == "/v1/metrics":
                    outer.metrics += ExportMetricsServiceRequest.FromString(body).resource_metrics
                else:
                    outer.spans += ExportTraceServiceRequest.FromString(body).resource_spans
                outer.came.release()

            def log_message(self, *_args: Any) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


async def test_a_brokers_page_and_works_arrive(receiver: Receiver, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000")
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--id", "7", "--zone", "z", "--no-bill"]
    node = Node(parse([*flags, "--otlp-endpoint", receiver.url]), SystemClock())
    await node.start()
    node._logs.stats.on_operation("append_wal", "ok", 0.001)
    node._logs.stats.on_operation("upload", "error", 0.25)
    operations: list[Any] = []
    while not operations:
        assert await asyncio.to_thread(receiver.came.acquire, timeout=60)
        shown = [metric for told in receiver.metrics for metric in told.scope_metrics[0].metrics]
        operations = [
            point
            for metric in shown
            if metric.name == "kafka_stream_operation_latency_seconds"
            for point in metric.histogram.data_points
            if {each.key: each.value.string_value for each in point.attributes}["operation_type"] == "upload"
        ]
    await node.stop()
    resource = {each.key: each.value.string_value for each in receiver.metrics[0].resource.attributes}
    assert (resource["service.name"], resource["service.instance.id"]) == ("streampilot-broker", "streampilot/7")
    told = {metric.name: metric for metric in receiver.metrics[0].scope_metrics[0].metrics}
    assert told["streampilot_broker_info"].gauge.data_points[0].as_double == 1
    assert told["process_cpu_seconds"].sum.is_monotonic
    upload = operations[0]
    assert (upload.count, upload.sum, sum(upload.bucket_counts)) == (1, 0.25, 1)
    assert len(upload.bucket_counts) == len(upload.explicit_bounds) + 1
    (span,) = [span for told in receiver.spans for span in told.scope_spans[0].spans if span.status.code == 2]
    assert (span.name, span.end_time_unix_nano - span.start_time_unix_nano) == ("upload", 250_000_000)


def test_a_receiver_that_refuses_is_said_once_and_again_when_it_takes(receiver: Receiver, monkeypatch: Any) -> None:
    monkeypatch.setattr("broker.telemetry.exporting.LEAST_INTERVAL_S", 0.01)
    said: list[str] = []
    receiver.refuse = True
    asked = receivers(receiver.url, {"OTEL_METRIC_EXPORT_INTERVAL": "10", "OTEL_TRACES_EXPORTER": "none"})
    page = "# TYPE x gauge\nx 1\n"
    made = Exporting(asked, clock=SystemClock(), about={}, read=lambda: page, say=said.append)
    assert all(receiver.came.acquire(timeout=60) for _ in range(3))
    receiver.refuse = False
    assert all(receiver.came.acquire(timeout=60) for _ in range(3))
    made.close()
    assert [text.split(";")[0].removeprefix(f"OTLP: {receiver.url}/v1/metrics ") for text in said] == [
        "takes nothing",
        "takes it again",
    ]


def test_nothing_is_started_where_nobody_asked() -> None:
    before, said = threading.active_count(), list[str]()
    for environment in ({}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://o:1"}):
        made = Exporting(receivers("", environment), clock=SystemClock(), about={}, read=lambda: "", say=said.append)
        first = said.append
        assert made.beside(first) is first  # type: ignore[arg-type, comparison-overlap]
        made.close()
    assert (threading.active_count(), said) == (before, [])
    grpc = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://o:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert "grpc" in receivers("", grpc).note
