"""Clients report their own metrics (KIP-714): asked for, read under caps, and shown."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import cramjam
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

from broker.clock import SystemClock
from broker.errors import (
    InvalidRecord,
    InvalidRequest,
    TelemetryTooLarge,
    ThrottlingQuotaExceeded,
    UnknownSubscriptionId,
    UnsupportedCompressionType,
)
from broker.telemetry import pushed
from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page
from broker.telemetry.otlp import MAX_BYTES, MAX_METRICS, read_push
from broker.telemetry.pushed import ClientTelemetry
from tests.broker.api.conftest import Broker, Wire


def otlp(**values: list[float]) -> bytes:
    """A push: a name that ends in `_total` is a sum, others are gauges; a value is a data point."""
    data = MetricsData()
    scope = data.resource_metrics.add().scope_metrics.add()
    for name, points in values.items():
        metric = scope.metrics.add(name="org.apache.kafka." + name.replace("_", "."))
        kind = metric.sum if name.endswith("_total") else metric.gauge
        for value in points:
            kind.data_points.add(as_double=value)
    return bytes(data.SerializeToString())


async def subscribe(wire: Wire, instance: uuid.UUID | None = None) -> Any:
    return await wire.ask(71, 0, client_instance_id=instance)


async def push(wire: Wire, instance: uuid.UUID | None, data: bytes, **changes: Any) -> int:
    said = {"subscription_id": 1, "terminating": False, "compression_type": 0, "metrics": data, **changes}
    return int((await wire.ask(72, 0, client_instance_id=instance, **said)).error_code)


async def page(broker: Broker) -> str:
    return str((await broker.node._serve_metrics()).text)


async def test_what_a_client_pushes_is_on_the_page(broker: Broker, wire: Wire) -> None:
    await wire.ask(18, 3, client_software_name="app-lib", client_software_version="1.2")
    asked = await subscribe(wire)
    assert (asked.requested_metrics, asked.delta_temporality) == (("org.apache.kafka.",), False)
    sent = otlp(producer_record_total=[3, 4], producer_latency_max=[0.5, 0.25])
    packed = bytes(cramjam.zstd.compress(sent))
    assert await push(wire, asked.client_instance_id, packed, compression_type=4) == 0
    labels = 'client_id="test",software="app-lib",version="1.2",client_zone=""'
    shown = await page(broker)
    assert f'streampilot_client_telemetry{{{labels},metric="producer.record.total"}} 7' in shown
    assert f'streampilot_client_telemetry{{{labels},metric="producer.latency.max"}} 0.5' in shown
    assert "streampilot_client_telemetry_instances 1" in shown


async def test_what_cannot_be_taken_is_refused(wire: Wire) -> None:
    known = (await subscribe(wire)).client_instance_id
    for code, instance, data, changes in (
        (InvalidRequest.code, None, otlp(), {}),
        (UnknownSubscriptionId.code, known, otlp(), {"subscription_id": 7}),
        (TelemetryTooLarge.code, known, b"x" * (MAX_BYTES + 1), {}),
        (UnsupportedCompressionType.code, known, otlp(), {"compression_type": 9}),
    ):
        assert await push(wire, instance, data, **changes) == code
    assert await push(wire, known, otlp()) == ThrottlingQuotaExceeded.code
    assert await push(wire, known, otlp(), terminating=True) == 0
    assert await push(wire, known, otlp(), terminating=True) == InvalidRequest.code


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_every_codec_is_read_and_none_without_end(codec: int) -> None:
    pack: Any = {
        1: cramjam.gzip.compress,
        2: cramjam.snappy.compress_raw,
        3: cramjam.lz4.compress,
        4: cramjam.zstd.compress,
    }[codec]
    assert read_push(codec, bytes(pack(otlp(a=[1])))) == {"a": 1}
    for bad in (bytes(pack(b"\0" * 5_000_000)), b"garbage", bytes(pack(b"\xff" * 20))):
        with pytest.raises(InvalidRecord):
            read_push(codec, bad)


def test_a_client_has_so_many_metrics_and_no_more() -> None:
    assert len(read_push(0, otlp(**{f"m{number}": [1] for number in range(MAX_METRICS + 50)}))) == MAX_METRICS
    assert read_push(0, otlp(nan=[float("nan")], none=[])) == {}


class Stranger:
    """A client that is another one each time."""

    def __init__(self, number: int) -> None:
        self.client_id, self.peer, self.software_name, self.zone = f"c{number}", "127.0.0.1", "s", None


async def test_instances_and_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushed, "MAX_INSTANCES", 5)
    monkeypatch.setattr(pushed, "MAX_SERIES", 6)
    clock = SystemClock()
    telemetry = ClientTelemetry(clock=clock, counters=Counters(clock=clock, zone=None), interval_s=60)
    for number in range(9):
        client = Stranger(number)
        given = telemetry.subscribe(uuid.UUID(int=0), client, "1")
        data = otlp(a=[1], b=[2])
        await telemetry.push(given, client, "1", subscription=1, terminating=False, codec=0, data=data)
    shown = Page()
    telemetry.write(shown)
    assert "streampilot_client_telemetry_instances 5" in shown.text()
    assert shown.text().count("streampilot_client_telemetry{") == 6


async def test_librdkafka_reports_itself_without_being_told_to(broker: Broker, wire: Wire) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address, "client.id": "orders-3,zone=z7"})
    async with asyncio.timeout(30):
        while "producer.connection.creation.total" not in await page(broker):
            await asyncio.to_thread(producer.poll, 0.1)
    (line,) = [line for line in (await page(broker)).splitlines() if "producer.connection.creation.total" in line]
    assert 'client_id="orders-3,zone=z7"' in line and 'client_zone="z7"' in line and "rdkafka" in line
