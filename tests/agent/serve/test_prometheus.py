"""Prometheus's HTTP API over a whole agent, as Grafana calls it."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
import promql_parser
import pytest

from agent.store.batch import Batch
from tests.agent.rig import NOW, Rig

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "streampilot.json"
AT = str(NOW.timestamp())


@pytest.fixture
async def http(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rig = Rig(tmp_path)
    store = rig.agent.rooms.store
    ids = [store.series_id("c", f"http://b{n}:9404/metrics", "bytes_total", (("topic", "orders"),)) for n in range(2)]
    for scrape in range(41):
        at = NOW - timedelta(seconds=15 * (40 - scrape))
        store.write(Batch(at=at, series=np.array(ids, dtype=np.int32), values=np.array([30.0 * scrape, 60.0 * scrape])))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rig.app), base_url="http://127.0.0.1:8099/api/v1"
    ) as client:
        yield client
    await asyncio.to_thread(rig.fleet.close)


async def test_a_damaged_hour_is_left_out_and_said_in_the_answer_in_metrics_and_in_status(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rig = Rig(tmp_path)
    store = rig.agent.rooms.store
    ids = np.array([store.series_id("c", "http://b0:9404/metrics", "bytes_total", ())], dtype=np.int32)
    for hour in (2, 1):
        store.write(Batch(at=NOW - timedelta(hours=hour), series=ids, values=np.array([30.0])))
    store.maintain(NOW)
    file = store.shelf.hour(f"samples_{NOW - timedelta(hours=1):%Y%m%d%H}")
    file.write_bytes(file.read_bytes()[:-100])
    span = {"start": str(NOW.timestamp() - 9000), "end": AT}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(rig.app), base_url="http://127.0.0.1:8099") as client:
        for path, asked in (
            ("query", {"query": "count_over_time(bytes_total[3h])", "time": AT}),
            ("query_range", {"query": "bytes_total", "step": "60s", **span}),
            ("series", {"match[]": "bytes_total", **span}),
        ):
            said = (await client.get(f"/api/v1/{path}", params=asked)).json()
            assert said["status"] == "success"
            assert [file.name in line and "damaged" in line for line in said["warnings"]] == [True], path
        counted = await client.get("/api/v1/query", params={"query": "count_over_time(bytes_total[3h])", "time": AT})
        assert counted.json()["data"]["result"][0]["value"][1] == "1"
        assert 'streampilot_agent_damaged_files{kind="samples"} 1.0' in (await client.get("/metrics")).text
        assert any(file.name in note for note in (await client.get("/api/status")).json()["notes"])
    await asyncio.to_thread(rig.fleet.close)


async def data(http, path, method="GET", **parameters):
    given = {"data": parameters} if method == "POST" else {"params": parameters}
    said = await http.request(method, path, **given)
    assert said.status_code == 200, said.text
    assert said.json()["status"] == "success"
    return said.json()["data"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_query_is_answered_in_prometheus_shape(http, method):
    found = await data(http, "/query", method, query="round(sum by (topic) (rate(bytes_total[1m])))", time=AT)
    assert found["resultType"] == "vector"
    assert found["result"] == [{"metric": {"topic": "orders"}, "value": [NOW.timestamp(), "6"]}]
    found = await data(
        http, "/query_range", method, query="round(sum(rate(bytes_total[1m])))", end=AT, step="15s",
        start=(NOW - timedelta(minutes=1)).isoformat(),
    )  # fmt: skip
    assert found["resultType"] == "matrix"
    assert [value for _, value in found["result"][0]["values"]] == ["6"] * 5


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_there_is_can_be_listed(http, method):
    labels = {"__name__": "bytes_total", "cluster": "c", "instance": "b0:9404", "topic": "orders"}
    assert await data(http, "/series", method, **{"match[]": 'bytes_total{instance="b0:9404"}'}) == [labels]
    assert await data(http, "/labels", method) == ["__name__", "cluster", "instance", "topic"]
    assert await data(http, "/labels", method, **{"match[]": "nothing"}) == []


async def test_what_had_samples_in_a_time_can_be_listed(http):
    before = {"start": "0", "end": str(NOW.timestamp() - 3600)}
    lately = {"start": str(NOW.timestamp() - 60)}
    matching = {"match[]": "bytes_total"}
    assert await data(http, "/series", **matching, **before) == []
    assert len(await data(http, "/series", **matching, **lately)) == 2
    assert await data(http, "/labels", **before) == []
    assert await data(http, "/label/instance/values", **before) == []
    assert await data(http, "/label/instance/values", **lately) == ["b0:9404", "b1:9404"]


async def test_a_grafana_variable_and_its_checks_are_answered(http):
    assert await data(http, "/label/instance/values", **{"match[]": "bytes_total"}) == ["b0:9404", "b1:9404"]
    assert await data(http, "/label/__name__/values") == ["bytes_total"]
    assert await data(http, "/label/instance/values", limit="1") == ["b0:9404"]
    assert await data(http, "/metadata") == {"bytes_total": [{"type": "counter", "help": "", "unit": ""}]}
    assert (await data(http, "/status/buildinfo"))["version"] == "3.0.0"
    assert (await data(http, "/query", query="1+1"))["result"][1] == "2"


@pytest.mark.parametrize(
    ("path", "parameters", "status", "kind", "says"),
    [
        ("/query", {"query": "sum("}, 400, "bad_data", "parse error"),
        ("/query", {}, 400, "bad_data", '"query"'),
        ("/query", {"query": "1", "time": "soon"}, 400, "bad_data", "valid timestamp"),
        ("/query", {"query": "1", "time": "inf"}, 400, "bad_data", "valid timestamp"),
        ("/query", {"query": "histogram_avg(x)"}, 400, "bad_data", "histogram_avg() is not supported"),
        ("/query", {"query": "bytes_total * on(topic) bytes_total"}, 422, "execution", "many-to-many"),
        ("/query_range", {"query": "1", "start": "0", "end": "1", "step": "0"}, 400, "bad_data", "zero or negative"),
        ("/query_range", {"query": "1", "start": "0", "end": "99999", "step": "1"}, 400, "bad_data", "11,000 points"),
        ("/query_range", {"query": "1", "start": "0", "end": "1", "step": "x"}, 400, "bad_data", "valid duration"),
        ("/query_range", {"query": "x", "start": "1e10", "end": "1e10", "step": "1"}, 200, "", ""),
        ("/series", {}, 400, "bad_data", "match[]"),
        ("/series", {"match[]": "sum(x)"}, 400, "bad_data", "no series selector"),
        ("/labels", {"start": "2", "end": "1"}, 400, "bad_data", "must not be before"),
        ("/labels", {"limit": "many"}, 400, "bad_data", "limit"),
        ("/alerts", {}, 404, "not_found", "not served"),
    ],
)  # fmt: skip
async def test_a_refusal_has_prometheus_shape(http, path, parameters, status, kind, says):
    said = await http.get(path, params={"time": AT, **parameters} if path == "/query" else parameters)
    assert said.status_code == status, said.text
    if status != 200:
        assert (said.json()["status"], said.json()["errorType"]) == ("error", kind)
        assert says in said.json()["error"]


async def test_only_forms_that_ask_may_be_posted_without_the_token(http):
    assert (await http.post("/status/buildinfo", data={})).status_code == 401
    assert (await http.post("/query", json={"query": "1"})).status_code == 400


async def test_every_panel_of_the_shipped_dashboard_can_be_evaluated(http):
    expressions = re.findall(r'"expr": ("(?:[^"\\]|\\.)*")', DASHBOARD.read_text("utf-8"))
    assert len(expressions) > 40
    for text in map(json.loads, expressions):
        query = text.replace("$__rate_interval", "1m").replace("$broker", ".*")
        promql_parser.parse(query)
        await data(http, "/query", query=query, time=AT)
