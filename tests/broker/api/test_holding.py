"""Too much waits for upload: those who produce are not read from, everybody else is, and nobody is hung up on."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.broker.api.asking import batch, create, fetch, produce
from tests.broker.api.conftest import Broker, Wire


async def produced(wire: Wire) -> int:
    return int((await produce(wire, "t", batch())).error_code)


async def test_a_held_producer_is_answered_when_it_is_let_go_and_others_at_once(broker: Broker) -> None:
    producer, consumer = await broker.connect(), await broker.connect()
    await create(producer, "t")
    assert await produced(producer) == 0
    broker.node._logs.stats.on_hold(True)
    late: asyncio.Task[Any] = asyncio.ensure_future(produced(producer))
    assert (await fetch(consumer, "t")).records
    await asyncio.sleep(0.2)
    assert not late.done()
    broker.node._logs.stats.on_hold(False)
    assert await late == 0


async def test_a_frame_that_was_under_way_when_reading_stopped_is_not_too_slow(broker: Broker) -> None:
    producer = await broker.connect()
    await create(producer, "t")
    assert await produced(producer) == 0
    (connection,) = (each for each in broker.node._server._peers.connections if each._produces)
    producer.writer.write(b"\0\0\x10\0half of a frame")
    async with asyncio.timeout(30):
        while connection._frame_since is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    broker.node._logs.stats.on_hold(True)
    connection._frame_since -= 3600
    broker.node._logs.stats.on_hold(False)
    await asyncio.sleep(0.01)
    connection.close_if_idle(connection._clock.monotonic())
    assert not connection._transport.is_closing()
