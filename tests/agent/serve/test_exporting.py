"""OpenTelemetry out: one trace for a round and what it led to, metrics that come back in, and receivers that fail."""

import asyncio
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent.model.clock import HandClock, SystemClock
from agent.serve.exporting import Exporting, Receivers, interval_of, receivers
from agent.serve.metrics import AgentMetrics
from agent.serve.server import bind, make_server, until_started
from tests.agent.rig import NOW, TOKEN, Rig
from tests.agent.serve.test_api import WRITE, _state_of

BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318/"}


class Receiver:
    """Takes traces and decodes them; `hold` keeps every answer back."""

    def __init__(self) -> None:
        self.spans, self.service, self.asked = [], "", threading.Event()
        self.hold, outer = threading.Event(), self
        self.hold.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.set()
                outer.hold.wait(60)
                for told in ExportTraceServiceRequest.FromString(body).resource_spans:
                    said = {each.key: each.value.string_value for each in told.resource.attributes}
                    outer.service = said["service.name"]
                    outer.spans += [span for scope in told.scope_spans for span in scope.spans]
                try:
                    self.send_response(200)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    return

            def log_message(self, *_args) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def exporting(traces=None, metrics=None):
    return Exporting(Receivers(traces=traces, metrics=metrics), clock=SystemClock(), instance="a:1")


async def test_a_round_and_what_it_led_to_is_one_trace(tmp_path, monkeypatch, receiver):
    import httpx

    monkeypatch.chdir(tmp_path)
    out = exporting(traces=receiver.url)
    rig = Rig(tmp_path, tracer=out.tracer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(rig.app), base_url="http://127.0.0.1:8099") as http:
        await rig.rounds(6)
        (plan,) = (await http.get("/api/plans")).json()
        await http.post(f"/api/plans/{plan['id']}/approve", json={"by": "ann"}, headers=WRITE)
        assert (await _state_of(http, plan["id"], "verified", rig))["state"] == "verified"
    await asyncio.to_thread(rig.fleet.close)
    await asyncio.to_thread(out.close)
    assert receiver.service == "streampilot-agent"
    (act,) = [span for span in receiver.spans if span.name == "act"]
    trace = {span.span_id: span for span in receiver.spans if span.trace_id == act.trace_id}
    tree = sorted(
        (span.name, trace[span.parent_span_id].name if span.parent_span_id else "") for span in trace.values()
    )
    assert tree == [
        ("act", "plan"), ("admin", "collect"), ("collect", "round"), ("diagnose", "round"), ("execute", "act"),
        ("look", "round"), ("plan", "round"), ("round", ""), ("verify", "act"),
    ]  # fmt: skip
    said = {each.key: each.value.string_value for each in act.attributes}
    assert (said["plan"], said["state"]) == (plan["id"], "verified")
    rounds = {span.trace_id for span in receiver.spans if span.name == "round"}
    assert len(rounds) == len([span for span in receiver.spans if span.name == "round"]) >= 6


async def test_the_agents_own_metrics_come_in_again_where_they_went_out(rig, http, monkeypatch):
    await rig.rounds(2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {TOKEN}")
    with bind("127.0.0.1", 0) as listener:
        server = make_server(rig.app, rig.agent.rooms.config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until_started(server, serving)
        out = exporting(metrics=f"http://127.0.0.1:{listener.getsockname()[1]}/v1/metrics")
        out.follow(AgentMetrics(rig.fleet).collect, 3600.0)
        await asyncio.to_thread(out.close)
        server.should_exit = True
        await serving
    await asyncio.to_thread(rig.agent.rooms.collector.round)
    query = 'streampilot_agent_rounds_total{job="streampilot-agent",instance="a:1"}'
    found = (await http.get("/api/v1/query", params={"query": query})).json()["data"]["result"]
    assert [row["value"][1] for row in found] == ["2"]


async def test_a_receiver_that_hangs_holds_up_neither_rounds_nor_the_end(tmp_path, monkeypatch, receiver):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setattr("agent.serve.exporting.CLOSE_S", 0.2)
    receiver.hold.clear()
    out = exporting(traces=receiver.url)
    rig = Rig(tmp_path, tracer=out.tracer)
    await rig.rounds(2)
    assert await asyncio.to_thread(receiver.asked.wait, 30)
    for _ in range(5000):
        out.tracer.start_span("flood").end()
    assert len(out._provider._active_span_processor._span_processors[0]._batch_processor._queue) <= 2048
    await rig.rounds(1)
    await asyncio.to_thread(rig.fleet.close)
    began = time.monotonic()
    await asyncio.to_thread(out.close)
    assert time.monotonic() - began < 30
    assert rig.agent.rounds.failures == 0


def test_a_receiver_that_refuses_is_said_once(monkeypatch, caplog):
    monkeypatch.setattr("agent.serve.exporting.LEAST_INTERVAL_S", 0.01)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    tried = threading.Semaphore(0)

    def read():
        tried.release()
        return []

    with caplog.at_level(logging.INFO):
        out = exporting(metrics="http://127.0.0.1:1/v1/metrics")
        out.follow(read, 0.01)
        assert all(tried.acquire(timeout=30) for _ in range(3))
        out.close()
    assert [record.getMessage().split(";")[0] for record in caplog.records] == [
        "OTLP: http://127.0.0.1:1/v1/metrics takes nothing"
    ]


@pytest.mark.parametrize(
    ("endpoint", "environment", "traces", "metrics"),
    [
        ("", {}, None, None),
        ("http://o:1/", {}, "http://o:1/v1/traces", "http://o:1/v1/metrics"),
        ("", BASE, "http://otel:4318/v1/traces", "http://otel:4318/v1/metrics"),
        ("http://o:1", BASE, "http://o:1/v1/traces", "http://o:1/v1/metrics"),
        ("", {**BASE, "OTEL_METRICS_EXPORTER": "none"}, "http://otel:4318/v1/traces", None),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:1/x"}, "http://t:1/x", None),
        ("", {**BASE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, None, None),
        ("http://o:1", {"OTEL_SDK_DISABLED": "true"}, None, None),
    ],
)
def test_who_receives_is_said_by_the_configuration_then_by_the_environment(endpoint, environment, traces, metrics):
    found = receivers(endpoint, environment)
    assert (found.traces, found.metrics) == (traces, metrics)
    assert bool(found.notes) == ("grpc" in environment.values())


def test_nothing_is_started_where_nobody_asked():
    before = threading.active_count()
    out = Exporting(receivers("", {}), clock=HandClock(NOW), instance="a:1")
    out.follow(list)
    assert threading.active_count() == before
    assert not out.tracer.start_span("x").is_recording()
    assert interval_of({"OTEL_METRIC_EXPORT_INTERVAL": "500"}) == 0.5
    out.close()
