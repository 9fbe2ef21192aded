"""Real clients come in through every kind of door, and strangers do not."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from tests.broker.api.conftest import Broker
from tests.broker.security.certificates import Authority
from tests.broker.security.conftest import Start


def sasl(broker: Broker, authority: Authority, mechanism: str, user: str, password: str) -> dict[str, Any]:
    """librdkafka's settings."""
    return {
        "bootstrap.servers": broker.address,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(authority.path),
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
        "log_level": 0,
    }


def round_trip(settings: dict[str, Any], topic: str, group: str = "g") -> list[bytes | None]:
    """Produces three records and consumes them again."""
    producer = Producer(settings | {"enable.idempotence": True})
    errors: list[Any] = []
    for number in range(3):
        producer.produce(topic, str(number).encode(), on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors == [None] * 3
    consumer = Consumer(settings | {"group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found = [record.value() for record in consumer.consume(3, 15)]
    consumer.close()
    return found


def set_up(admin: AdminClient) -> None:
    """A user bob, and what bob may do with topics that begin with `team-` and the group g."""
    credential = UserScramCredentialUpsertion("bob", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"bob-pw")
    for future in admin.alter_user_scram_credentials([credential]).values():
        future.result(30)
    acls = [
        AclBinding(kind, name, pattern, "User:bob", "*", operation, AclPermissionType.ALLOW)
        for kind, name, pattern, operation in (
            (ResourceType.TOPIC, "team-", ResourcePatternType.PREFIXED, AclOperation.ALL),
            (ResourceType.GROUP, "g", ResourcePatternType.LITERAL, AclOperation.READ),
        )
    ]
    for made in admin.create_acls(acls).values():
        made.result(30)


async def test_librdkafka_over_sasl_ssl_does_what_its_acls_allow_and_nothing_else(
    start: Start, authority: Authority
) -> None:
    broker = await start(
        "SASL_SSL",
        ssl_keystore_location=str(authority.issue("broker", "broker.pem")),
        authorizer_class_name="StandardAuthorizer",
        super_users="User:admin",
        group_initial_rebalance_delay_ms="0",
    )
    admin = AdminClient(sasl(broker, authority, "SCRAM-SHA-512", "admin", "admin-secret"))
    await asyncio.to_thread(set_up, admin)
    bob = sasl(broker, authority, "SCRAM-SHA-512", "bob", "bob-pw")
    assert await asyncio.to_thread(round_trip, bob, "team-a") == [b"0", b"1", b"2"]

    def forbidden() -> list[int]:
        listed = AdminClient(bob).list_topics(timeout=30).topics
        assert set(listed) == {"team-a"}
        asked = AdminClient(bob).list_topics("secret", timeout=30).topics["secret"]
        error = asked.error
        assert error is not None
        return [error.code()]

    assert await asyncio.to_thread(forbidden) == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    found = await asyncio.to_thread(lambda: admin.describe_user_scram_credentials(["bob"])["bob"].result(30))
    assert [info.iterations for info in found.scram_credential_infos] == [4096]


def in_with_kafka_python(broker: Broker, **settings: Any) -> set[str]:
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(bootstrap_servers=broker.address, request_timeout_ms=10_000, **settings)
    try:
        return set(consumer.topics())
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("mechanism", "user", "password"),
    [
        ("SCRAM-SHA-256", "alice", "al=ice,s"),
        ("SCRAM-SHA-512", "admin", "admin-secret"),
        ("PLAIN", "alice", "al=ice,s"),
    ],
)
async def test_kafka_python_comes_in_by_every_mechanism_with_a_password(
    mechanism: str, user: str, password: str, start: Start
) -> None:
    broker = await start("SASL_PLAINTEXT", sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-256,SCRAM-SHA-512")
    settings = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism, "sasl_plain_username": user}
    found = await asyncio.to_thread(in_with_kafka_python, broker, sasl_plain_password=password, **settings)
    assert "__consumer_offsets" not in found


async def test_a_wrong_password_is_an_authentication_failure_for_librdkafka(start: Start, authority: Authority) -> None:
    broker = await start("SASL_SSL", ssl_keystore_location=str(authority.issue("broker", "broker.pem")))
    reasons: list[KafkaError] = []
    settings = sasl(broker, authority, "SCRAM-SHA-256", "alice", "wrong") | {"error_cb": reasons.append}

    client = Producer(settings)

    def look() -> None:
        while not reasons:
            client.poll(0.1)

    await asyncio.wait_for(asyncio.to_thread(look), 30)
    assert any(reason.code() == KafkaError._AUTHENTICATION for reason in reasons)


async def asked_over_tls(broker: Broker, context: ssl.SSLContext) -> bytes:
    """The broker's certificate, after an ApiVersions went through."""
    host, _, port = broker.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x05\xff\xff")
        async with asyncio.timeout(30):
            await reader.readexactly(8)
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found
    finally:
        writer.close()


def trusting(authority: Authority, own: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.path))
    if own is not None:
        context.load_cert_chain(own)
    return context


async def test_a_clients_certificate_says_who_it_is(start: Start, authority: Authority, tmp_path: Path) -> None:
    broker = await start(
        "SSL",
        ssl_keystore_location=str(authority.issue("broker", "broker.pem")),
        ssl_truststore_location=str(authority.path),
        ssl_client_auth="required",
        ssl_principal_mapping_rules="RULE:CN=([^,]+),.*/$1/L,DEFAULT",
        authorizer_class_name="StandardAuthorizer",
        super_users="User:carol",
    )
    settings = {"bootstrap.servers": broker.address, "security.protocol": "SSL", "log_level": 0}
    settings |= {"ssl.ca.location": str(authority.path)}
    carol = authority.issue("Carol", "carol.pem")
    mallory = Authority(tmp_path, "another CA").issue("Carol", "mallory.pem")
    own = settings | {"ssl.certificate.location": str(carol), "ssl.key.location": str(carol)}
    assert await asyncio.to_thread(round_trip, own, "t") == [b"0", b"1", b"2"]
    dave = authority.issue("dave", "dave.pem")
    others = settings | {"ssl.certificate.location": str(dave), "ssl.key.location": str(dave)}
    assert await asyncio.to_thread(lambda: AdminClient(others).list_topics(timeout=30).topics) == {}
    for stranger in (trusting(authority), trusting(authority, mallory)):
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await asked_over_tls(broker, stranger)


async def test_a_new_certificate_holds_for_new_connections_and_a_broken_one_does_not(
    start: Start, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    path = authority.issue("broker", "broker.pem")
    broker = await start("SSL", ssl_keystore_location=str(path))
    first = await asked_over_tls(broker, trusting(authority))
    authority.issue("broker", "broker.pem")
    await broker.node._server.renew()
    second = await asked_over_tls(broker, trusting(authority))
    path.write_text("half of a cop")
    await broker.node._server.renew()
    assert first != second == await asked_over_tls(broker, trusting(authority))
    assert "keeps its old certificate" in caplog.text
