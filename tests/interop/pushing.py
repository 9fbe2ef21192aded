"""A Java consumer that reports its own metrics: to a bundled broker (KIP-714), or by OTLP to a receiver here.

Apache Kafka's broker hands what clients report to a plugin that it does not ship. So there it is the client that
pushes, through OpenTelemetry's Java agent, which needs no change to the program.
"""

from __future__ import annotations

import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.interop.kafka import ROOT, ended, java
from tests.interop.load import TOPIC

HOME = ROOT / ".work/otel"
ARTIFACT = "io.opentelemetry.javaagent:opentelemetry-javaagent:2.10.0"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
CLIENT = "audit"
PUSH_MS = 3000
KEPT = "kafka.consumer."
SETTINGS = {
    "otel.exporter.otlp.protocol": "http/protobuf",
    "otel.metric.export.interval": str(PUSH_MS),
    "otel.service.name": CLIENT,
    "otel.traces.exporter": "none",
    "otel.logs.exporter": "none",
    "otel.instrumentation.common.default-enabled": "false",
    "otel.instrumentation.kafka.enabled": "true",
}


class Receiver:
    """What the consumer pushed last, and nothing else of it than its consumer's metrics."""

    def __init__(self) -> None:
        self._newest = b""
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.take(zlib.decompress(body, wbits=31) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        """Keeps a push that has a consumer's metrics."""
        message = ExportMetricsServiceRequest.FromString(body)
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                kept = [metric for metric in scope.metrics if metric.name.startswith(KEPT)]
                del scope.metrics[:]
                scope.metrics.extend(kept)
        if any(scope.metrics for resource in message.resource_metrics for scope in resource.scope_metrics):
            with self._lock:
                self._newest = message.SerializeToString()

    def newest(self) -> bytes:
        """Empty before the first push."""
        with self._lock:
            return self._newest

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def install() -> Path:
    """The agent's jar from Maven's registry, once."""
    if not any(HOME.glob("*.jar")):
        command = ["mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={HOME}"]
        subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)
    (jar,) = HOME.glob("*.jar")
    return jar


@contextmanager
def reading(bootstrap: str, log: Path, otlp: str = "") -> Iterator[None]:
    """The consumer reads the load's topic until the block ends; with `otlp` it pushes there."""
    command = java(
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", TOPIC,
        "--group", CLIENT, "--consumer-property", f"client.id={CLIENT}", heap="128m",
    )  # fmt: skip
    if otlp:
        settings = {**SETTINGS, "otel.exporter.otlp.endpoint": otlp}
        command[1:1] = [f"-javaagent:{install()}", *(f"-D{name}={value}" for name, value in settings.items())]
    with log.open("wb") as out, ended(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out)):
        yield
