"""Long requests take turns with other connections and keep their own order; a client that left leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from broker.connection import Connection
from broker.log.log import Log
from tests.broker.api.asking import LONG, batch, create, fetch, produce
from tests.broker.api.conftest import Broker, Wire

MANY = 200


async def all_open(broker: Broker) -> None:
    for _ in range(1000):
        if len(broker.node._logs) >= MANY:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(broker.node._logs)} partitions are open")


def send(wire: Wire, partitions: range) -> int:
    data = [{"index": index, "records": batch()} for index in partitions]
    topic = {"name": "t", "partition_data": data}
    return wire.request(0, 9, transactional_id=None, acks=-1, timeout=LONG, topic_data=[topic])


async def test_a_long_produce_is_not_overtaken_by_the_next_one_of_its_connection(
    broker: Broker, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(wire, "t", partitions=MANY)
    await all_open(broker)
    monkeypatch.setattr("broker.turns.TURN_S", 1e-4)
    asked = [send(wire, range(MANY)), send(wire, range(MANY - 1, MANY))]
    async with asyncio.timeout(30):
        answered = [await wire.response(0, 9) for _ in asked]
    assert [correlation for correlation, _ in answered] == asked
    last = [answer.responses[0].partition_responses[-1] for _, answer in answered]
    assert [(int(part.error_code), part.base_offset) for part in last] == [(0, 0), (0, 1)]


async def test_connections_and_logs_end_without_the_cycle_collector(broker: Broker) -> None:
    """What is frozen (broker.rubbish) would stay for ever if it did not."""
    others = weakref.WeakSet(one for one in gc.get_objects() if isinstance(one, (Connection, Log)))
    wire = await broker.connect()
    await create(wire, "t")
    assert (await produce(wire, "t", batch())).base_offset == 0
    await fetch(wire, "t")
    gc.collect()
    gc.disable()
    try:
        known = [weakref.ref(one) for one in gc.get_objects() if isinstance(one, (Connection, Log))]
        known = [ref for ref in known if ref() not in others]
        assert {type(ref()) for ref in known} == {Connection, Log}
        await wire.ask(20, 5, topic_names=("t",), timeout=LONG)
        wire.writer.close()
        for _ in range(600):
            if not any(ref() for ref in known):
                break
            await asyncio.sleep(0.05)
        assert [ref() for ref in known if ref() is not None] == []
    finally:
        gc.enable()
