"""The admin API, spoken to byte by byte: what it does, and whom it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from broker.admin.app import ROUTES, Admin
from broker.admin.errors import AdminError
from broker.admin.guard import Guard
from broker.admin.routes import Broker as Parts
from broker.clock import SystemClock
from broker.flags import parse
from broker.http import Request
from broker.node import Node
from tests.broker.log.conftest import Cluster

TOKEN = "a-token-of-the-operator"


async def ask(
    address: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    data = b"" if body is None else json.dumps(body).encode()
    told = {"Host": f"{host}:{port}", "Content-Length": str(len(data)), **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    writer.write("\r\n".join(lines).encode() + data)
    answer = await reader.read()
    writer.close()
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text) if text.startswith((b"{", b"[")) else text.decode()


async def start(directory: Path, *flags: str) -> tuple[Node, str]:
    given = ["--dir", str(directory), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "16MiB", "--no-bill"]
    node = Node(parse([*given, *flags]), SystemClock())
    return node, (await node.start()).http


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    node, address = await start(tmp_path)
    yield address
    await node.stop()


async def test_the_cluster_its_brokers_and_its_storage_are_shown(address: str) -> None:
    status, cluster = await ask(address, "GET", "/admin/v1/cluster")
    assert (status, cluster["brokers_alive"], cluster["partitions_offline"]) == (200, [0], 0)
    _, brokers = await ask(address, "GET", "/admin/v1/brokers")
    assert [(each["id"], each["alive"], each["cordoned"]) for each in brokers["brokers"]] == [(0, True, False)]
    _, storage = await ask(address, "GET", "/admin/v1/storage")
    assert storage["wal_capacity_bytes"] > 0 and storage["pending_upload_bytes"] == 0
    _, partitions = await ask(address, "GET", "/admin/v1/partitions?broker=0&limit=5")
    assert partitions == {"total": 0, "partitions": []}


async def test_a_broker_is_cordoned_and_uncordoned(address: str) -> None:
    assert await ask(address, "POST", "/admin/v1/brokers/0/cordon") == (200, {"broker": 0, "cordoned": True})
    _, brokers = await ask(address, "GET", "/admin/v1/brokers")
    assert brokers["brokers"][0]["cordoned"]
    assert await ask(address, "POST", "/admin/v1/brokers/0/uncordon", {}) == (200, {"broker": 0, "cordoned": False})


async def test_an_empty_broker_is_drained_at_once_and_its_drain_can_be_followed(address: str) -> None:
    status, begun = await ask(address, "POST", "/admin/v1/drain", {"broker": 0, "deadline_s": 5})
    assert (status, begun["state"], begun["partitions"]) == (202, "done", 0)
    status, now = await ask(address, "GET", f"/admin/v1/drains/{begun['id']}")
    assert (status, now["state"], now["partitions_left"]) == (200, "done", 0)


WRONG = [
    ("GET", "/admin/v1/nothing", None, 404),
    ("GET", "/admin/v1/drains/99", None, 404),
    ("DELETE", "/admin/v1/cluster", None, 405),
    ("POST", "/admin/v1/brokers/7/cordon", None, 404),
    ("POST", "/admin/v1/brokers/x/cordon", None, 404),
    ("POST", "/admin/v1/drain", {}, 400),
    ("POST", "/admin/v1/drain", {"broker": "0"}, 400),
    ("POST", "/admin/v1/drain", {"broker": True}, 400),
    ("POST", "/admin/v1/drain", {"broker": 0, "deadline_s": 1e9}, 400),
    ("POST", "/admin/v1/drain", {"broker": 0, "force": True}, 400),
    ("POST", "/admin/v1/drain", [0], 400),
    ("POST", "/admin/v1/brokers/0/declare-lost", {}, 400),
    ("POST", "/admin/v1/brokers/0/declare-lost", {"confirm": "1"}, 400),
    ("POST", "/admin/v1/brokers/0/declare-lost", {"confirm": "0"}, 409),
    ("GET", "/admin/v1/partitions?limit=many", None, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), WRONG)
async def test_a_refusal_says_what_and_what_next(
    address: str, method: str, path: str, body: object, status: int
) -> None:
    given, answer = await ask(address, method, path, body)
    assert given == status
    assert answer["error"]["what"] and answer["error"]["next"] and isinstance(answer["error"]["number"], int)


async def test_the_document_names_every_route(address: str) -> None:
    _, document = await ask(address, "GET", "/admin/v1/openapi.json")
    assert document["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == {(route.method, route.path) for route in ROUTES}
    drain = document["paths"]["/admin/v1/drain"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert drain["required"] == ["broker"] and drain["additionalProperties"] is False


async def test_a_web_page_is_refused(address: str) -> None:
    path = "/admin/v1/brokers/0/cordon"
    for headers in ({"Host": "evil.example:80"}, {"Origin": "http://evil.example"}, {"Host": ""}):
        status, answer = await ask(address, "POST", path, headers=headers)
        assert status == 403 and "error" in answer
    _, brokers = await ask(address, "GET", "/admin/v1/brokers")
    assert not brokers["brokers"][0]["cordoned"]


async def test_a_body_has_a_limit_and_a_length(address: str) -> None:
    status, _ = await ask(address, "POST", "/admin/v1/drain", headers={"Content-Length": "999999999999"})
    assert status == 413
    status, _ = await ask(address, "POST", "/admin/v1/drain", headers={"Transfer-Encoding": "chunked"})
    assert status == 411


async def test_a_token_is_asked_for_where_one_is_set_and_metrics_stay_open(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    node, address = await start(tmp_path, "--admin-token-file", str(tmp_path / "token"))
    try:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            assert (await ask(address, "GET", "/admin/v1/cluster", headers=headers))[0] == 401
        assert (await ask(address, "GET", "/admin/v1/cluster", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200
        assert (await ask(address, "GET", "/metrics"))[0] == 200
    finally:
        await node.stop()


def test_away_from_loopback_nothing_is_answered_without_a_token() -> None:
    request = Request(method="GET", path="/admin/v1/cluster", headers={"host": "10.0.0.1:80"})
    with pytest.raises(AdminError, match="is off"):
        Guard(host="0.0.0.0", token=None).check(request)
    with pytest.raises(AdminError, match="no token"):
        Guard(host="0.0.0.0", token=TOKEN).check(request)


async def test_a_drain_over_http_waits_until_everything_has_moved(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for broker in range(2):
        await cluster.start(broker)
    metadata, logs = cluster.brokers[0]
    await metadata.create_topic("t", partitions=8)
    await metadata.create_topic("__consumer_offsets", partitions=10)
    parts = Parts(id=0, metadata=metadata, logs=logs, clock=SystemClock())
    admin = Admin(parts, Guard(host="127.0.0.1", token=None))
    body = json.dumps({"broker": 1, "wait": True}).encode()
    headers = {"host": "127.0.0.1:1"}
    answer = await admin.serve(Request(method="POST", path="/admin/v1/drain", body=body, headers=headers))
    told = json.loads(answer.text)
    assert (int(answer.status), told["state"], told["partitions"], told["partitions_left"]) == (200, "done", 9, 0)
    for broker in (0, 1):
        await cluster.stop(broker)
