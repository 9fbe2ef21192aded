"""Who came in and who was refused, as `/metrics` tells it."""

from __future__ import annotations

import asyncio
import socket
import ssl

from tests.broker.api.conftest import Broker, Wire
from tests.broker.security.certificates import Authority
from tests.broker.security.conftest import Start
from tests.broker.security.test_login import plain, scram


async def figures(broker: Broker, *names: str) -> dict[str, float]:
    """Series of these metrics, whose names begin with kafka_server_."""
    page = (await broker.node._serve_metrics()).text
    found = {}
    for line in page.splitlines():
        series, _, value = line.rpartition(" ")
        name = series.partition("{")[0].removeprefix("kafka_server_").removesuffix("_total")
        if name in names:
            found[series.partition("{")[2].rstrip("}").replace('"', "")] = float(value)
    return found


async def metadata(wire: Wire, topic: str) -> int:
    found = await wire.ask(3, 4, topics=[{"name": topic}], allow_auto_topic_creation=False)
    return int(found.topics[0].error_code)


async def test_who_comes_in_is_counted_by_listener_and_mechanism_and_so_is_who_does_not(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT", sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-512")
    await scram(await broker.connect(), "admin", "admin-secret")
    await plain(await broker.connect(), "admin", "admin-secret")
    for name, password in (("admin", "wrong"), ("nobody", "wrong")):
        await plain(await broker.connect(), name, password)
    await (await broker.connect()).ask(17, 1, mechanism="OAUTHBEARER")
    assert await figures(broker, "successful_authentication") == {
        "listener=SASL_PLAINTEXT,mechanism=PLAIN": 1,
        "listener=SASL_PLAINTEXT,mechanism=SCRAM-SHA-512": 1,
    }
    assert await figures(broker, "failed_authentication") == {
        "listener=SASL_PLAINTEXT,mechanism=PLAIN": 2,
        "listener=SASL_PLAINTEXT,mechanism=unknown": 1,
    }


async def test_a_certificate_counts_as_a_word(start: Start, authority: Authority) -> None:
    broker = await start(
        "SSL",
        ssl_keystore_location=str(authority.issue("broker", "broker.pem")),
        ssl_truststore_location=str(authority.path),
        ssl_client_auth="requested",
    )
    context = ssl.create_default_context(cafile=str(authority.path))
    host, _, port = broker.address.rpartition(":")
    for own in (None, authority.issue("alice", "alice.pem")):
        if own is not None:
            context.load_cert_chain(own)
        wire = Wire(*await asyncio.open_connection(host, int(port), ssl=context))
        await wire.ask(18, 0)
        wire.writer.close()
    assert await figures(broker, "successful_authentication") == {"listener=SSL,mechanism=SSL": 1}


async def test_handshakes_that_fail_are_counted_by_listener_also_after_a_new_certificate(
    start: Start, authority: Authority
) -> None:
    own = authority.issue("broker", "broker.pem")
    broker = await start(
        "SSL",
        ssl_keystore_location=str(own),
        ssl_truststore_location=str(authority.path),
        ssl_client_auth="required",
    )
    host, _, port = broker.address.rpartition(":")
    trusting = ssl.create_default_context(cafile=str(authority.path))
    trusting.load_cert_chain(authority.issue("alice", "alice.pem"))

    def knock(context: ssl.SSLContext | None) -> bool:
        """Whether it is let in."""
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            try:
                door = context.wrap_socket(plain, server_hostname=host) if context is not None else plain
                door.sendall(bytes.fromhex("00000010001200000000000100066b6e6f636b73"))
                return door.recv(1) == b"\0"
            except (ssl.SSLError, ConnectionError):
                return False

    async def counted(failed: int) -> None:
        async with asyncio.timeout(30):
            while True:
                if await figures(broker, "failed_tls_handshake") == {"listener=SSL": failed}:
                    return
                await asyncio.sleep(0.01)

    nameless = ssl.create_default_context(cafile=str(authority.path))
    for context, failed in ((nameless, 1), (ssl.create_default_context(), 2), (None, 3)):
        assert not await asyncio.to_thread(knock, context)
        await counted(failed)
    assert await asyncio.to_thread(knock, trusting)
    authority.issue("broker", "broker.pem")
    await broker.node._server.renew()
    assert await asyncio.to_thread(knock, trusting)
    assert not await asyncio.to_thread(knock, nameless)
    await counted(4)


async def test_refusals_are_counted_by_request_and_hang_ups_by_reason(start: Start) -> None:
    broker = await start(
        "SASL_PLAINTEXT",
        sasl_enabled_mechanisms="PLAIN",
        authorizer_class_name="StandardAuthorizer",
        super_users="User:admin",
        connections_max_reauth_ms="1000",
        max_connections="3",
    )
    admin, alice, stranger = [await broker.connect() for _ in range(3)]
    over = await broker.connect()
    assert await over.hung_up()
    await plain(admin, "admin", "admin-secret")
    await plain(alice, "alice", "al=ice,s")
    assert (await metadata(admin, "t"), await metadata(alice, "t")) == (3, 29)
    stranger.request(3, 4, topics=[], allow_auto_topic_creation=False)
    assert await stranger.hung_up()
    await asyncio.sleep(1.05)
    alice.request(18, 0)
    admin.request(3, 4, topics=[], allow_auto_topic_creation=False)
    assert await admin.hung_up()
    assert await figures(broker, "authorization_denied") == {"type=Metadata": 1}
    assert await figures(broker, "hung_up") == {
        "listener=SASL_PLAINTEXT,reason=limit": 1,
        "listener=SASL_PLAINTEXT,reason=unknown": 1,
        "listener=SASL_PLAINTEXT,reason=expired": 1,
    }
