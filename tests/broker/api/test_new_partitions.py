"""Who is told that partitions exist goes to their leader next, and is served there: no poll has to come first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from tests.broker.api.asking import LONG
from tests.broker.api.conftest import Broker, Wire

TIMES = 5


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[list[Broker]]:
    brokers: list[Broker] = []
    for number in (0, 1):
        flags = ["--id", str(number), "--dir", str(tmp_path), "--http", "127.0.0.1:0", "--wal-size", "16MiB"]
        node = Node(parse([*flags, "--listeners", "PLAINTEXT://127.0.0.1:0", "--no-bill"]), SystemClock())
        brokers.append(Broker(node, (await node.start()).kafka))
    for each in brokers:
        await each.node._metadata.until(lambda image: len(image.alive()) == 2)
    yield brokers
    for each in brokers:
        await each.hang_up()
        await each.node.stop()


async def first_offset(wire: Wire, topic: str, index: int) -> Any:
    partition = {"partition_index": index, "current_leader_epoch": -1, "timestamp": -2}
    values = {"replica_id": -1, "isolation_level": 0, "topics": [{"name": topic, "partitions": [partition]}]}
    return int((await wire.ask(2, 5, **values)).topics[0].partitions[0].error_code)


async def test_the_leader_serves_new_partitions_when_another_broker_has_said_that_they_are_there(
    two: list[Broker],
) -> None:
    asked, leads = [await each.connect() for each in two]
    found = []
    for number in range(TIMES):
        name = f"t{number}"
        assignment = [{"partition_index": 0, "broker_ids": (1, 0)}]
        topic = {"name": name, "num_partitions": -1, "replication_factor": -1, "assignments": assignment, "configs": ()}
        made = await asked.ask(19, 7, topics=[topic], timeout=LONG)
        found += [int(made.topics[0].error_code), await first_offset(leads, name, 0)]
        more = {"name": name, "count": 2, "assignments": [{"broker_ids": (1, 0)}]}
        grown = await asked.ask(37, 3, topics=[more], timeout=LONG, validate_only=False)
        found += [int(grown.results[0].error_code), await first_offset(leads, name, 1)]
    assert found == [0] * 4 * TIMES
