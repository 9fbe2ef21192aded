"""Brokers that encrypt what they say to each other: with whom they speak, and with whom they do not."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from broker.clock import SystemClock
from broker.errors import InvalidConfig
from broker.exposed import readable
from broker.flags import parse
from broker.node import Node
from broker.peers import frames
from broker.peers.client import Peers, PeerUnavailable
from broker.peers.server import PeerServer, looking
from broker.security.peer_tls import PeerTls
from broker.security.tls import TlsSettings
from tests.broker.peers.test_peers import SECRET, member
from tests.broker.security.certificates import Authority

Serve = Callable[[PeerTls], Awaitable[tuple[str, int]]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts an inter-broker listener."""
    servers: list[PeerServer] = []

    async def look(version: int, uids: list[int]) -> tuple[int, list[int]]:
        return version, uids

    async def begin(tls: PeerTls) -> tuple[str, int]:
        servers.append(PeerServer(SECRET, {(frames.LOOK, 0): looking(look)}, os.urandom, tls=tls.answerer))
        return await servers[-1].listen("127.0.0.1", 0)

    yield begin
    for server in servers:
        await server.stop()


def files(authority: Authority, name: str = "broker.pem") -> TlsSettings:
    return TlsSettings(keystore=authority.issue("broker", name), truststore=authority.path)


async def reaches(address: tuple[str, int], tls: PeerTls | None) -> bool:
    """Whether a broker that knows the secret is answered there."""
    context = (lambda: tls.asker) if tls is not None else None
    peers = Peers(SECRET, 0, os.urandom, tls=context)
    try:
        return await peers.look(member(address), 7, [2], 5) == {2}
    except PeerUnavailable:
        return False
    finally:
        await peers.close()


async def test_only_who_checks_the_certificate_is_answered_and_only_by_one_it_trusts(
    tmp_path: Path, authority: Authority, serve: Serve
) -> None:
    tls = PeerTls(files(authority), checks_names=True)
    address = await serve(tls)
    assert await reaches(address, tls)
    assert not await reaches(address, None)
    stranger = Authority(tmp_path, "another CA")
    assert not await reaches(address, PeerTls(files(stranger, "stranger.pem"), checks_names=False))


async def test_a_certificate_must_be_for_the_address_unless_names_are_not_checked(
    authority: Authority, serve: Serve
) -> None:
    """What the test's authority signs is for 127.0.0.1."""
    strict, lax = (PeerTls(files(authority), checks_names=checks) for checks in (True, False))
    _, port = await serve(strict)
    assert not await reaches(("localhost", port), strict)
    assert await reaches(("localhost", port), lax)


def serial(address: tuple[str, int], authority: Authority) -> str:
    context = ssl.create_default_context(cafile=str(authority.path))
    with socket.create_connection(address, timeout=30) as plain:
        plain.settimeout(30)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
            found = encrypted.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


async def test_a_new_certificate_holds_for_later_connections_and_a_bad_one_changes_nothing(
    authority: Authority, serve: Serve
) -> None:
    tls = PeerTls(files(authority), checks_names=True)
    address = await serve(tls)
    first = await asyncio.to_thread(serial, address, authority)
    path = authority.issue("broker", "broker.pem")
    await asyncio.to_thread(tls.renew)
    second = await asyncio.to_thread(serial, address, authority)
    path.write_text("no certificate")
    with pytest.raises(InvalidConfig, match=r"ssl\.keystore\.location"):
        tls.renew()
    assert first != second == await asyncio.to_thread(serial, address, authority)
    assert await reaches(address, tls)


async def test_brokers_of_one_cluster_speak_encrypted(tmp_path: Path, authority: Authority) -> None:
    flags = ["--dir", str(tmp_path), "--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
    flags += ["--config", "security.inter.broker.protocol=SSL"]
    flags += ["--config", f"ssl.keystore.location={authority.issue('broker', 'broker.pem')}"]
    flags += ["--config", f"ssl.truststore.location={authority.path}"]
    nodes = [Node(parse([*flags, "--id", str(number)]), SystemClock()) for number in range(2)]
    for node in nodes:
        await node.start()
    try:
        await nodes[0]._metadata.refresh()
        other = nodes[0]._metadata.image.brokers[1]
        assert await nodes[0]._neighbours.hints.look(other, 0, [], 5) == set()
        assert other.peer_address is not None
        assert not await reaches(other.peer_address, None)
        await asyncio.to_thread(serial, other.peer_address, authority)
    finally:
        for node in nodes:
            await node.stop()


def test_encrypting_without_files_is_refused_at_the_start(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--dir", str(tmp_path), "--config", "security.inter.broker.protocol=SSL"]
    keystore = f"ssl.keystore.location={authority.issue('broker', 'broker.pem')}"
    for given, named in ((flags, "ssl.keystore.location"), ([*flags, "--config", keystore], "ssl.truststore.location")):
        with pytest.raises(SystemExit):
            parse(given)
        assert named in capsys.readouterr().err


def test_a_listener_that_others_reach_and_that_does_not_encrypt_is_said(tmp_path: Path, authority: Authority) -> None:
    listeners = "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://10.0.0.5:9092,SASL_SSL://10.0.0.5:9093"
    flags = ["--dir", str(tmp_path), "--listeners", listeners, "--inter-broker-listener", "broker-1.internal:9095"]
    flags += ["--config", f"ssl.keystore.location={authority.issue('broker', 'broker.pem')}"]
    said = list(readable(parse(flags)))
    assert [line.split(" is not")[0] for line in said] == [
        "listener SASL_PLAINTEXT://10.0.0.5:9092",
        "--inter-broker-listener broker-1.internal:9095",
    ]
    flags += ["--config", f"ssl.truststore.location={authority.path}"]
    assert len(list(readable(parse([*flags, "--config", "security.inter.broker.protocol=SSL"])))) == 1
    assert list(readable(parse(["--dir", str(tmp_path), "--inter-broker-listener", "localhost:0"]))) == []
