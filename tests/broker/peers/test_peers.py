"""Brokers speaking to brokers: who knows the secret is heard, everybody else is hung up on, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from types import MappingProxyType

import pytest

from broker.errors import KafkaStorageError
from broker.metadata import Broker
from broker.peers import frames
from broker.peers.client import Peers, PeerUnavailable
from broker.peers.server import PeerServer, looking
from broker.wire.cursor import Cursor

SECRET = b"s" * 32
FAILING = (30_100, 0)


def member(address: tuple[str, int] | None) -> Broker:
    return Broker(
        id=1,
        epoch=1,
        listeners=MappingProxyType({}),
        peer_address=address,
        http="",
        zone=None,
        alive=True,
        cordoned=False,
        spot=False,
        version="0",
        host_id="here",
        wal_url="",
        started_at_ms=0,
        registered_at_ms=0,
        departed=False,
    )


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    async def look(version: int, uids: list[int]) -> tuple[int, list[int]]:
        if version < 0:
            await asyncio.sleep(60)
        return version + 1, [uid for uid in uids if uid > 0]

    async def fail(cursor: Cursor) -> bytes:
        raise KafkaStorageError("not now")

    server = PeerServer(SECRET, {(frames.LOOK, 0): looking(look), FAILING: fail}, os.urandom)
    yield await server.listen("127.0.0.1", 0)
    await server.stop()


async def test_a_look_tells_which_partitions_are_open(address: tuple[str, int]) -> None:
    peers = Peers(SECRET, 0, os.urandom)
    assert await peers.look(member(address), 7, [-1, 2, 2**40], 5) == {2, 2**40}
    found = await asyncio.gather(*(peers.look(member(address), n, [n], 5) for n in range(1, 20)))
    assert found == [{n} for n in range(1, 20)]
    await peers.close()


async def test_who_does_not_know_the_secret_is_not_heard_and_not_believed(address: tuple[str, int]) -> None:
    stranger = Peers(b"x" * 32, 0, os.urandom)
    with pytest.raises(PeerUnavailable, match="does not know the cluster's secret"):
        await stranger.look(member(address), 7, [], 5)
    await stranger.close()


async def test_an_unproven_peer_is_hung_up_on_whatever_it_says(address: tuple[str, int]) -> None:
    hello = frames.request(frames.HELLO, 0, 1, struct.pack(">i", 0) + b"n" * 16)
    wrong = frames.request(frames.PROVE, 0, 2, b"p" * 32)
    asks = [
        frames.request(frames.LOOK, 0, 1, frames.look(1, [])),
        hello + wrong,
        hello + frames.request(frames.LOOK, 0, 2, frames.look(1, [])),
        struct.pack(">i", -1),
        struct.pack(">i", 2**31 - 1),
        struct.pack(">i", 8) + b"\0" * 8,
    ]
    for data in asks:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(data)
        async with asyncio.timeout(30):
            answered = await reader.read()
        assert len(answered) in (0, 4 + 6 + 48)
        writer.close()


async def test_an_unknown_request_a_failure_and_a_silence_are_told_apart_from_an_answer(
    address: tuple[str, int],
) -> None:
    peers = Peers(SECRET, 0, os.urandom)
    with pytest.raises(PeerUnavailable, match="error 35"):
        await peers.ask(member(address), frames.LOOK, 9, b"", 5)
    with pytest.raises(PeerUnavailable, match="error 56"):
        await peers.ask(member(address), *FAILING, b"", 5)
    with pytest.raises(PeerUnavailable, match="Timeout"):
        await peers.look(member(address), -1, [], 0.05)
    assert await peers.look(member(address), 1, [3], 5) == {3}
    await peers.close()


async def test_a_peer_that_is_gone_costs_an_error_and_one_that_is_back_is_reached_again() -> None:
    async def look(version: int, uids: list[int]) -> tuple[int, list[int]]:
        return version, uids

    handlers = {(frames.LOOK, 0): looking(look)}
    first = PeerServer(SECRET, handlers, os.urandom)
    address = await first.listen("127.0.0.1", 0)
    peers = Peers(SECRET, 0, os.urandom)
    assert await peers.look(member(address), 1, [5], 5) == {5}
    await first.stop()
    with pytest.raises(PeerUnavailable):
        await peers.look(member(address), 1, [5], 5)
    with pytest.raises(PeerUnavailable, match="no inter-broker listener"):
        await peers.look(member(None), 1, [5], 5)
    second = PeerServer(SECRET, handlers, os.urandom)
    await second.listen(*address)
    assert await peers.look(member(address), 1, [5], 5) == {5}
    await peers.close()
    await second.stop()


async def test_only_a_refusal_makes_a_peer_absent(address: tuple[str, int]) -> None:
    peers = Peers(SECRET, 0, os.urandom)
    assert not await peers.is_absent(member(address), 5)
    assert not await peers.is_absent(member(None), 5)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as mute:
        where = mute.getsockname()
        for _ in range(3):
            assert not await peers.is_absent(member(where), 0.05), "nobody answers, and nobody refuses"
    assert await peers.is_absent(member(where), 5)
