"""OTLP in: what the SDK's own exporter pushes is stored like what is scraped, and what is refused is named."""

import asyncio
import gzip
import json

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from agent.collect import pushed as pushed_room
from agent.serve import otlp
from agent.serve.server import bind, make_server, until_started
from tests.agent.rig import TOKEN

AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}
PROTOBUF = {**AUTHORIZED, "content-type": "application/x-protobuf"}
WHO = '{instance="i-1",job="shop/checkout"}'
RESOURCE = {"service.name": "checkout", "service.namespace": "shop", "service.instance.id": "i-1", "host.name": "h"}


@pytest.fixture
async def url(rig):
    """A real server's address, for a client that speaks HTTP by itself."""
    with bind("127.0.0.1", 0) as listener:
        server = make_server(rig.app, rig.agent.rooms.config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await until_started(server, serving)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


def provider(url, temporality=None, views=()):
    exporter = OTLPMetricExporter(
        f"{url}/v1/metrics", headers=AUTHORIZED, preferred_temporality=temporality, timeout=20
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000, export_timeout_millis=20_000)
    resource = Resource(RESOURCE)
    return MeterProvider([reader], resource=resource, views=views, shutdown_on_exit=False)


async def flush(rig, made):
    assert await asyncio.to_thread(made.force_flush, 20_000)
    rig.clock.wind(1)
    await asyncio.to_thread(rig.agent.rooms.collector.round)


async def value(http, query, at=None):
    said = await http.get("/api/v1/query", params={"query": query, **({"time": at} if at else {})})
    return [float(row["value"][1]) for row in said.json()["data"]["result"]]


def a_push(*metrics, points=((1, 7),), labels=(), resource=()):
    """A request of gauges by hand: points are (time, value)."""
    request = ExportMetricsServiceRequest()
    told = request.resource_metrics.add()
    for name, text in resource:
        told.resource.attributes.add(key=name).value.string_value = text
    for name in metrics:
        metric = told.scope_metrics.add().metrics.add(name=name)
        for at_ns, number in points:
            point = metric.gauge.data_points.add(time_unix_nano=at_ns, as_double=number)
            for key, text in labels:
                point.attributes.add(key=key).value.string_value = text
    return request


async def post(http, request):
    said = await http.post("/v1/metrics", content=request.SerializeToString(), headers=PROTOBUF)
    assert said.status_code == 200, said.text
    return ExportMetricsServiceResponse.FromString(said.content).partial_success


async def test_what_the_sdk_exports_is_read_by_promql(rig, http, url):
    made = provider(url)
    meter = made.get_meter("shop")
    orders = meter.create_counter("shop.orders", unit="{order}")
    orders.add(3, {"region.name": "eu"})
    meter.create_up_down_counter("shop.carts").add(-2)
    meter.create_gauge("shop.load", unit="1").set(0.25)
    took = meter.create_histogram("http.server.duration", unit="ms", explicit_bucket_boundaries_advisory=[5, 10, 2.5e4])
    for each in (1, 7, 7, 99_999):
        took.record(each)
    await flush(rig, made)
    assert await value(http, 'shop_orders_total{region_name="eu",cluster="c",job="shop/checkout",instance="i-1"}') == [
        3
    ]
    assert await value(http, f"shop_carts{WHO}") == [-2]
    assert await value(http, f"shop_load_ratio{WHO}") == [0.25]
    assert await value(http, 'target_info{job="shop/checkout",host_name="h"}') == [1]
    assert await value(http, "http_server_duration_milliseconds_count") == [4]
    assert await value(http, "http_server_duration_milliseconds_sum") == [100_014]
    buckets = [await value(http, f'http_server_duration_milliseconds_bucket{{le="{le}"}}') for le in
               ("5", "10", "25000", "+Inf")]  # fmt: skip
    assert buckets == [[1], [3], [3], [4]]
    orders.add(4, {"region.name": "eu"})
    await flush(rig, made)
    assert await value(http, "shop_orders_total") == [7]
    sources = await asyncio.to_thread(
        rig.agent.rooms.store.query_over,
        "targets", rig.clock.now(), rig.clock.now(), lambda rows: f"SELECT target FROM {rows} WHERE up",
    )  # fmt: skip
    assert set(sources["target"]) == {"otlp"}
    await asyncio.to_thread(made.shutdown)


async def test_differences_are_added_up(rig, http, url):
    from opentelemetry.sdk.metrics import Counter, Histogram

    made = provider(url, dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA))
    counter = made.get_meter("shop").create_counter("shop.orders")
    took = made.get_meter("shop").create_histogram("took", unit="s", explicit_bucket_boundaries_advisory=[1])
    for _ in range(3):
        counter.add(2)
        took.record(0.5)
        await flush(rig, made)
    assert await value(http, "shop_orders_total") == [6]
    assert await value(http, 'took_seconds_bucket{le="1"}') == [3]
    assert await value(http, "increase(shop_orders_total[1m]) > 0")
    await asyncio.to_thread(made.shutdown)


async def test_an_exponential_histogram_is_brought_to_two_buckets_a_doubling(rig, http, url):
    views = [View(instrument_name="took", aggregation=ExponentialBucketHistogramAggregation())]
    made = provider(url, views=views)
    took = made.get_meter("shop").create_histogram("took")
    for each in (0, 1.1, 1.3, 1.9, 60.0):
        took.record(each)
    await flush(rig, made)
    found = (await http.get("/api/v1/query", params={"query": "took_bucket"})).json()["data"]["result"]
    counts = {row["metric"]["le"]: float(row["value"][1]) for row in found}
    assert (counts["0"], counts["1.4142135623730951"], counts["2"], counts["64"], counts["+Inf"]) == (1, 3, 4, 5, 5)
    assert 1.0 < (await value(http, "histogram_quantile(0.5, took_bucket)"))[0] < 1.5
    await asyncio.to_thread(made.shutdown)


async def test_json_and_gzip_are_read_too(rig, http):
    point = {"timeUnixNano": "5", "asDouble": 4.5, "attributes": [{"key": "n", "value": {"intValue": "8"}}]}
    metric = {"name": "x.y", "unit": "By/s", "gauge": {"dataPoints": [point]}, "unknownField": 1}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    said = await http.post(
        "/v1/metrics",
        content=gzip.compress(body),
        headers={**AUTHORIZED, "content-type": "application/json", "content-encoding": "gzip"},
    )
    assert (said.status_code, said.json()) == (200, {})
    await asyncio.to_thread(rig.agent.rooms.collector.round)
    assert await value(http, 'x_y_bytes_per_second{n="8"}') == [4.5]


async def test_what_is_refused_is_counted_and_named_and_the_rest_is_taken(rig, http):
    request = a_push("good", "---", points=((9, 1), (9, 2)))
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    metrics.add(name="falling").sum.aggregation_temporality = 1
    metrics[-1].sum.data_points.add(as_int=1)
    metrics.add(name="lopsided").histogram.data_points.add(count=1, bucket_counts=[1, 0, 0], explicit_bounds=[1])
    metrics.add(name="many").histogram.data_points.add(count=1, bucket_counts=[1] * 1001, explicit_bounds=range(1000))
    wide = metrics.add(name="wide").gauge.data_points.add(as_int=1)
    for number in range(65):
        wide.attributes.add(key=f"l{number}").value.int_value = number
    said = await post(http, request)
    assert said.rejected_data_points == 6
    for words in ("not monotonic", "3 counts and 1 bounds", "1001 buckets, 320", "65 labels", "name without a letter"):
        assert words in said.error_message
    await asyncio.to_thread(rig.agent.rooms.collector.round)
    assert await value(http, "good") == [1]


async def test_series_are_limited_and_an_older_point_is_refused(rig, http, monkeypatch):
    rig.agent.rooms.collector.pushed._most = 2
    said = await post(http, a_push("a", "b", "c", points=((50, 1),)))
    assert said.rejected_data_points == 1
    assert "a new series over 2 pushed" in said.error_message
    said = await post(http, a_push("a", points=((40, 9),)))
    assert said.rejected_data_points == 1
    assert "older than one that came before" in said.error_message
    assert not (await post(http, a_push("a", points=((50, 9),)))).rejected_data_points
    await asyncio.to_thread(rig.agent.rooms.collector.round)
    assert await value(http, "a") == [1]
    monkeypatch.setattr(pushed_room, "MOST_STORED", 0)
    rig.agent.rooms.collector.pushed._most = 9
    assert "0 stored ones" in (await post(http, a_push("d"))).error_message


async def test_a_series_that_nobody_pushes_is_not_repeated_and_ends(rig, http):
    collector, store = rig.agent.rooms.collector, rig.agent.rooms.store
    await post(http, a_push("a", points=((50, 1),)))
    await asyncio.to_thread(collector.round)
    stored = store.stored
    rig.clock.wind(10)
    await asyncio.to_thread(collector.round)
    assert store.stored == stored
    assert await value(http, "a") == [1]
    rig.clock.wind(pushed_room.SILENT_S)
    await asyncio.to_thread(collector.round)
    assert await value(http, "a") == []
    rig.clock.wind(1)
    await post(http, a_push("a", points=((40, 3),)))
    await asyncio.to_thread(collector.round)
    assert await value(http, "a") == [3]


UNREADABLE = [
    ({"headers": {"content-type": "application/x-protobuf"}}, 401, "token"),
    ({"headers": {**PROTOBUF, "content-type": "text/plain"}}, 415, "text/plain"),
    ({"headers": {**PROTOBUF, "content-encoding": "br"}}, 415, "br"),
    ({"headers": {**PROTOBUF, "content-encoding": "gzip"}, "content": b"x"}, 400, "gzip"),
    ({"headers": PROTOBUF, "content": b"\xff\xff"}, 400, "no OTLP metrics request"),
    ({"headers": {**PROTOBUF, "content-type": "application/json"}, "content": b"[" * 9000}, 400, "no OTLP"),
    ({"headers": PROTOBUF, "content": bytes(5 << 20)}, 413, "5242880"),
    (
        {"headers": {**PROTOBUF, "content-encoding": "gzip"}, "content": gzip.compress(bytes(9 << 20))},
        413, "8388608 bytes unpacked",
    ),
]  # fmt: skip


async def test_a_push_that_cannot_be_read_is_refused_whole(http):
    for changes, status, says in UNREADABLE:
        said = await http.post("/v1/metrics", **{"content": b"", **changes})
        assert said.status_code == status
        assert says in said.text


async def test_a_body_of_unknown_length_is_counted_as_it_comes(url):
    async def pieces():
        for _ in range(80):
            yield bytes(1 << 16)

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        said = await client.post("/v1/metrics", content=pieces(), headers=PROTOBUF)
        assert said.status_code == 413
        assert str(otlp.MOST_BYTES) in said.text
        said = await client.post("/api/ask", content=pieces(), headers=AUTHORIZED)
        assert said.status_code == 411
