"""The ACL APIs: what is created is heeded at once, shown, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from tests.broker.api.asking import create, fetch, produce
from tests.broker.api.conftest import Broker, Wire

READ = {
    "resource_type": 2,
    "resource_name": "t",
    "resource_pattern_type": 3,
    "principal": "User:ANONYMOUS",
    "host": "*",
    "operation": 3,
    "permission_type": 3,
}
EVERY = {
    "resource_type_filter": 1,
    "resource_name_filter": None,
    "pattern_type_filter": 1,
    "principal_filter": None,
    "host_filter": None,
    "operation": 1,
    "permission_type": 1,
}


async def test_acls_are_created_heeded_described_and_deleted(tmp_path: Path) -> None:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    flags += ["--config", "authorizer.class.name=StandardAuthorizer"]
    node = Node(parse([*flags, "--config", "super.users=User:ANONYMOUS"]), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    wire = await broker.connect()
    await create(wire, "t")
    bad = READ | {"operation": 1}
    made = await wire.ask(30, 3, creations=[READ, bad, READ])
    assert [int(each.error_code) for each in made.results] == [0, 42, 0]
    cluster = {**READ, "resource_type": 4, "resource_name": "kafka-cluster", "operation": 7}
    await wire.ask(30, 3, creations=[cluster])
    await broker.hang_up()
    await node.stop()

    node = Node(parse(flags), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    wire = await broker.connect()
    try:
        assert (await fetch(wire, "t")).error_code == 0
        assert int((await produce(wire, "t", b"")).error_code) == 29
        found = await wire.ask(29, 3, **EVERY)
        shown = {(each.resource_type, each.resource_name, len(each.acls)) for each in found.resources}
        assert shown == {(2, "t", 1), (4, "kafka-cluster", 1)}
        gone = await wire.ask(31, 3, filters=[EVERY | {"resource_type_filter": 2}, EVERY | {"operation": 99}])
        assert [(int(each.error_code), len(each.matching_acls)) for each in gone.filter_results] == [(0, 1), (42, 0)]
        assert int((await fetch(wire, "t")).error_code) == 29
    finally:
        await broker.hang_up()
        await node.stop()


@pytest.mark.parametrize(
    ("key", "values"), [(29, EVERY), (30, {"creations": [READ]}), (31, {"filters": [EVERY]})], ids=["29", "30", "31"]
)
async def test_a_broker_without_acls_says_so(key: int, values: dict[str, Any], wire: Wire) -> None:
    found = await wire.ask(key, 3, **values)
    first = found if key == 29 else (found.results if key == 30 else found.filter_results)[0]
    assert int(first.error_code) == 54
