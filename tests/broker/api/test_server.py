"""The sockets under good and bad clients: order, versions, and that a stranger's bytes hurt nobody else."""

from __future__ import annotations

import asyncio
import logging
import struct
from datetime import timedelta

import pytest

from broker.api.registry import all_apis
from tests.broker.api.asking import create, fetch_values
from tests.broker.api.conftest import Broker, Wire

_A_WHILE = timedelta(milliseconds=300)


async def test_api_versions_lists_what_is_registered_in_every_version(wire: Wire) -> None:
    for version in range(5):
        found = await wire.ask(18, version, client_software_name="test", client_software_version="1")
        spoken = {api.api_key: (api.min_version, api.max_version) for api in found.api_keys}
        assert spoken == {api.key: (api.advertised_low, api.high) for api in all_apis()}


async def test_an_unknown_version_of_api_versions_is_answered_in_version_0(wire: Wire) -> None:
    wire.send(struct.pack(">hhih", 18, 99, 7, -1) + b"\0\0\0\0")
    answered, found = await wire.response(18, 0)
    assert (answered, int(found.error_code)) == (7, 35)
    assert any(api.api_key == 18 for api in found.api_keys)


async def test_answers_keep_the_order_of_requests_when_the_first_takes_longest(wire: Wire) -> None:
    await create(wire, "t")
    slow = wire.request(1, 11, **fetch_values("t", wait=_A_WHILE))
    quick = wire.request(18, 0)
    async with asyncio.timeout(30):
        first, _ = await wire.response(1, 11)
        second, _ = await wire.response(18, 0)
    assert (first, second) == (slow, quick)


BAD_FRAMES = {
    "a length of 0": struct.pack(">i", 0),
    "a length of -1": struct.pack(">i", -1),
    "a length of 2^31-1": struct.pack(">i", 2**31 - 1),
    "an unknown key": struct.pack(">ihhih", 10, 999, 0, 1, -1),
    "an unknown version": struct.pack(">ihhih", 10, 3, 99, 1, -1),
    "a client id that is not UTF-8": struct.pack(">ihhih", 12, 18, 0, 1, 2) + b"\xff\xfe",
    "a client id longer than the frame": struct.pack(">ihhih", 10, 18, 0, 1, 500),
    "an array of 2^31-1 topics": struct.pack(">ihhihi", 14, 3, 1, 1, -1, 2**31 - 1),
    "a body that ends early": struct.pack(">ihhihhh", 14, 0, 3, 1, -1, -1, -1),
}


@pytest.mark.parametrize("bad", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_bad_frame_closes_its_own_connection_with_one_line(
    bad: bytes, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    other, stranger = await broker.connect(), await broker.connect()
    with caplog.at_level(logging.WARNING):
        stranger.writer.write(bad)
        assert await stranger.hung_up()
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None
    assert (await other.ask(18, 0)).api_keys


async def test_a_frame_in_single_bytes_is_served(wire: Wire) -> None:
    for byte in struct.pack(">ihhih", 10, 18, 0, 5, -1):
        wire.writer.write(bytes([byte]))
        await asyncio.sleep(0.001)
    answered, _ = await wire.response(18, 0)
    assert answered == 5


async def test_a_thousand_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    wire.writer.write(b"".join(struct.pack(">ihhih", 10, 18, 0, number, -1) for number in range(1000)))
    async with asyncio.timeout(30):
        answered = [struct.unpack_from(">i", await wire.answer())[0] for _ in range(1000)]
    assert answered == list(range(1000))


async def test_a_client_that_leaves_during_a_long_poll_leaves_nothing_behind(broker: Broker) -> None:
    wire = await broker.connect()
    await create(wire, "t")
    wire.request(1, 11, **fetch_values("t", wait=_A_WHILE))
    wire.writer.close()
    assert (await (await broker.connect()).ask(18, 0)).api_keys
