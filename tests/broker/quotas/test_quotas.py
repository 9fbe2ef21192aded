"""Whose quota holds, how long a client waits, and that its sockets are really not read in the meantime."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.errors import ThrottlingQuotaExceeded
from broker.flags import parse
from broker.node import Node
from broker.quotas.bucket import LONGEST_PAUSE_S, Bucket
from broker.quotas.busy import Busy
from broker.quotas.quotas import FETCH, MUTATION, PRODUCE, REQUEST, Quotas, Table
from tests.broker.api.asking import LONG, batch, create, fetch_values
from tests.broker.api.conftest import Broker, Wire


class WoundClock(SystemClock):
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@dataclass
class Client:
    principal: str = "User:ann"
    client_id: str = "app"
    peer: str = "10.0.0.1"


def quotas(table: Table, clock: WoundClock | None = None, **limits: int) -> Quotas:
    most = {"max_connections": 100, "max_per_address": 100} | limits
    return Quotas(lambda: table, clock or WoundClock(), **most)


def test_a_second_is_free_and_what_is_over_is_waited_for() -> None:
    bucket = Bucket(0.0)
    assert bucket.use(100, 100.0, 1.0, 0.0) == 0
    assert bucket.use(50, 100.0, 1.0, 0.0) == 0.5
    assert bucket.owed_s(100.0, 1.0, 0.5) == 0
    assert bucket.use(10_000, 100.0, 1.0, 0.5) == LONGEST_PAUSE_S
    assert bucket.owed_s(100.0, 1.0, 95.0) > 0
    assert bucket.owed_s(100.0, 1.0, 101.0) == 0


ORDER = [
    (("client-id", "app"), ("user", "ann")),
    (("client-id", None), ("user", "ann")),
    (("user", "ann"),),
    (("client-id", "app"), ("user", None)),
    (("client-id", None), ("user", None)),
    (("user", None),),
    (("client-id", "app"),),
    (("client-id", None),),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_quota_that_exists_holds(first: int) -> None:
    table = {entity: {PRODUCE: 100.0 if number == first else 1e9} for number, entity in enumerate(ORDER)}
    for entity in ORDER[:first]:
        table[entity] = {FETCH: 1.0}
    assert quotas(table).use(PRODUCE, Client(), 150) == pytest.approx(0.5)


def test_a_users_quota_is_shared_by_its_clients_and_by_nobody_else() -> None:
    shared = quotas({(("user", None),): {PRODUCE: 100.0}})
    assert shared.use(PRODUCE, Client(client_id="a"), 100) == 0
    assert shared.use(PRODUCE, Client(client_id="b"), 100) == pytest.approx(1.0)
    assert shared.use(PRODUCE, Client(principal="User:bob"), 100) == 0


def test_request_time_is_a_share_of_a_second() -> None:
    assert quotas({(("user", "ann"),): {REQUEST: 10.0}}).use(REQUEST, Client(), 0.2) == pytest.approx(1.0)


def test_changes_of_topics_are_refused_while_there_is_debt_to_those_that_understand() -> None:
    clock = WoundClock()
    limited = quotas({(("user", "ann"),): {MUTATION: 1.0}}, clock)
    limited.mutate(Client(), 15, strict=True)
    with pytest.raises(ThrottlingQuotaExceeded):
        limited.mutate(Client(), 1, strict=True)
    limited.mutate(Client(), 1, strict=False)
    clock.now += 6.1
    limited.mutate(Client(), 1, strict=True)


def test_connections_are_limited_in_all_and_from_one_address() -> None:
    limited = quotas({}, max_connections=3, max_per_address=2)
    assert [limited.came("a"), limited.came("a"), limited.came("a")] == [0.0, 0.0, None]
    limited.went("a")
    assert (limited.came("b"), limited.came("c")) == (0.0, None)


def test_new_connections_of_an_address_wait_when_they_come_too_fast() -> None:
    limited = quotas({(("ip", None),): {"connection_creation_rate": 2.0}, (("ip", "vip"),): {}})
    assert [limited.came("a"), limited.came("a"), limited.came("a")] == [0.0, 0.0, 0.5]


async def test_only_the_steps_of_a_coroutine_count() -> None:
    clock = WoundClock()

    async def work() -> str:
        clock.now += 2
        await asyncio.sleep(0)
        clock.now += 3
        return "done"

    async def other() -> None:
        clock.now += 100

    busy = Busy(work(), clock)
    found, _ = await asyncio.gather(asyncio.ensure_future(_result(busy)), other())
    assert (found, busy.seconds) == ("done", 5)


async def _result(busy: Busy[str]) -> str:
    return await busy


async def alter(wire: Wire, entity: dict[str, str | None], **values: float) -> int:
    parts = [{"entity_type": kind.replace("_", "-"), "entity_name": name} for kind, name in entity.items()]
    ops = [{"key": key, "value": value, "remove": value < 0} for key, value in values.items()]
    found = await wire.ask(49, 1, entries=[{"entity": parts, "ops": ops}], validate_only=False)
    return int(found.entries[0].error_code)


async def test_a_producer_and_a_consumer_over_their_quotas_are_told_and_not_read(broker: Broker, wire: Wire) -> None:
    await create(wire, "t")
    assert await alter(wire, {"client_id": "test"}, producer_byte_rate=100, consumer_byte_rate=60) == 0
    began = time.monotonic()
    data = [{"name": "t", "partition_data": [{"index": 0, "records": batch(b"x" * 50)}]}]
    asked = {"transactional_id": None, "acks": -1, "topic_data": data}
    told = (await wire.ask(0, 9, timeout=LONG, **asked)).throttle_time.total_seconds()
    assert 0.2 < told < 3
    assert (await wire.ask(18, 0)).api_keys
    assert time.monotonic() - began >= told
    found = await wire.ask(1, 11, **fetch_values("t", max_bytes=100_000))
    assert 0.2 < found.throttle_time.total_seconds() < 3
    async with asyncio.timeout(30):
        assert await alter(wire, {"client_id": "test"}, producer_byte_rate=-1, consumer_byte_rate=-1) == 0
    assert (await wire.ask(0, 9, timeout=LONG, **asked)).throttle_time.total_seconds() == 0
    throttles = broker.node._counters.client_throttles
    assert throttles["test", "producer_byte_rate"] > 0.2 and throttles["test", "consumer_byte_rate"] > 0.2


async def test_quotas_are_described_as_they_were_set_and_nonsense_is_refused(wire: Wire) -> None:
    assert await alter(wire, {"user": "ann", "client_id": None}, request_percentage=50.5) == 0
    assert await alter(wire, {"ip": "10.0.0.9"}, connection_creation_rate=5) == 0
    component = {"entity_type": "user", "match_type": 0, "match": "ann"}
    found = await wire.ask(48, 1, components=[component], strict=False)
    ((entry),) = found.entries
    assert {(part.entity_type, part.entity_name) for part in entry.entity} == {("user", "ann"), ("client-id", None)}
    assert [(value.key, value.value) for value in entry.values] == [("request_percentage", 50.5)]
    assert (await wire.ask(48, 1, components=[component], strict=True)).entries == ()
    assert len((await wire.ask(48, 1, components=[], strict=False)).entries) == 2
    assert await alter(wire, {"user": "ann"}, connection_creation_rate=5) == 42
    assert await alter(wire, {"ip": "10.0.0.9", "user": "ann"}, connection_creation_rate=5) == 42
    assert await alter(wire, {"ip": "elsewhere"}, connection_creation_rate=5) == 42
    assert await alter(wire, {"user": "ann"}, producer_byte_rate=0) == 42


async def test_too_many_topics_at_once_are_refused_to_new_clients(broker: Broker) -> None:
    assert await alter(await broker.connect(), {"client_id": None}, controller_mutation_rate=1) == 0
    codes = []
    for name in ("many", "more"):
        asked: dict[str, Any] = {"name": name, "num_partitions": 40, "replication_factor": 1}
        asked |= {"assignments": (), "configs": []}
        found = await (await broker.connect()).ask(19, 7, topics=[asked], timeout=LONG)
        codes.append(int(found.topics[0].error_code))
        assert found.throttle_time.total_seconds() > 0
    assert codes == [0, 89]


async def test_an_address_with_too_many_connections_is_hung_up_on(tmp_path: Path) -> None:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    node = Node(parse([*flags, "--config", "max.connections.per.ip=2"]), SystemClock())
    broker = Broker(node, (await node.start()).kafka)
    try:
        first, second = await broker.connect(), await broker.connect()
        assert (await first.ask(18, 0)).api_keys and (await second.ask(18, 0)).api_keys
        assert await (await broker.connect()).hung_up()
        first.writer.close()
        async with asyncio.timeout(30):
            while node._guards.quotas._total > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await (await broker.connect()).ask(18, 0)).api_keys
    finally:
        await broker.hang_up()
        await node.stop()
