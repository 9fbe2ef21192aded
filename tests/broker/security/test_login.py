"""Saying who one is, frame by frame: what is served before, what a failure tells, and when a session is over."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import struct
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker.clock import SystemClock
from broker.errors import InvalidConfig
from broker.security import first_users
from broker.security.doors import Doors, DoorSettings, SecurityProtocol
from broker.security.scram import Mechanism, of_password
from broker.security.tls import mapped, parse_rules
from tests.broker.api.conftest import Wire
from tests.broker.security.conftest import Start


async def scram(wire: Wire, name: str, password: str, before_nonce: str = "") -> tuple[Any, Any]:
    """SCRAM-SHA-512 as a client does it; the two answers."""
    await wire.ask(17, 1, mechanism="SCRAM-SHA-512")
    bare = f"n={name},r=clientnonce"
    first = await wire.ask(36, 2, auth_bytes=f"n,,{bare}".encode())
    told = dict(piece.split("=", 1) for piece in first.auth_bytes.decode().split(","))
    salted = hashlib.pbkdf2_hmac("sha512", password.encode(), base64.b64decode(told["s"]), int(told["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha512")
    without_proof = f"c=biws,r={before_nonce}{told['r']}"
    message = f"{bare},{first.auth_bytes.decode()},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha512(client_key).digest(), message, "sha512")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    return first, await wire.ask(36, 2, auth_bytes=f"{without_proof},p={proof}".encode())


async def plain(wire: Wire, name: str, password: str) -> Any:
    await wire.ask(17, 1, mechanism="PLAIN")
    return await wire.ask(36, 2, auth_bytes=f"\0{name}\0{password}".encode())


async def test_nothing_else_is_served_before_a_client_has_said_who_it_is(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await start("SASL_PLAINTEXT")
    wire = await broker.connect()
    assert (await wire.ask(18, 0)).api_keys
    wire.request(3, 4, topics=[], allow_auto_topic_creation=False)
    assert await wire.hung_up()
    large = await broker.connect()
    large.writer.write(struct.pack(">i", 65537))
    assert await large.hung_up()
    assert "did not say who it is" in caplog.text
    known = await broker.connect()
    _, last = await scram(known, "admin", "admin-secret")
    assert int(last.error_code) == 0
    assert (await known.ask(3, 4, topics=[], allow_auto_topic_creation=False)).brokers


async def test_an_unknown_user_and_a_wrong_password_answer_alike(
    start: Start, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = await start("SASL_PLAINTEXT", sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-512")
    answers, challenges = [], []
    for name in ("admin", "nobody", "nobody"):
        wire = await broker.connect()
        first, last = await scram(wire, name, "wrong-password")
        told = dict(piece.split("=", 1) for piece in first.auth_bytes.decode().split(","))
        challenges.append((len(told["s"]), told["i"], told["s"]))
        answers.append(last)
        assert await wire.hung_up()
    assert answers[0] == answers[1] and int(answers[0].error_code) == 58
    assert challenges[0][:2] == challenges[1][:2] and challenges[1] == challenges[2] != challenges[0]
    assert await plain(await broker.connect(), "admin", "wrong-password") == await plain(
        await broker.connect(), "nobody", "wrong-password"
    )
    heard = caplog.text + "".join(capsys.readouterr())
    assert "wrong-password" not in heard and "admin-secret" not in heard


async def test_a_session_that_is_over_is_hung_up_on(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT", connections_max_reauth_ms="200", sasl_enabled_mechanisms="PLAIN")
    wire = await broker.connect()
    found = await plain(wire, "admin", "admin-secret")
    assert 0 < found.session_lifetime.total_seconds() <= 0.2
    await asyncio.sleep(0.3)
    wire.request(3, 4, topics=[], allow_auto_topic_creation=False)
    assert await wire.hung_up()


async def test_a_session_is_renewed_by_the_same_user_through_the_same_mechanism(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT", sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-512")
    wire = await broker.connect()
    for _ in range(2):
        assert int((await plain(wire, "admin", "admin-secret")).error_code) == 0
    assert (await wire.ask(3, 4, topics=[], allow_auto_topic_creation=False)).brokers
    assert int((await wire.ask(17, 1, mechanism="SCRAM-SHA-512")).error_code) == 34
    assert int((await plain(wire, "alice", "al=ice,s")).error_code) == 58
    assert await wire.hung_up()


async def test_a_renewal_counts_from_when_it_was_made() -> None:
    clock = HandClock()
    credentials = {("ann", 2): of_password(Mechanism.SHA_512, "pw", os.urandom, 4096)}
    settings = DoorSettings.of(
        {"connections.max.reauth.ms": "1000", "sasl.enabled.mechanisms": "PLAIN"}, ["SASL_PLAINTEXT"]
    )
    doors = Doors(settings, credentials=lambda: credentials, secret=b"s", entropy=os.urandom, clock=clock)
    login = doors.login("SASL_PLAINTEXT")
    assert login is not None and not login.serves()
    for _ in range(2):
        login.handshake("PLAIN")
        assert (await login.say(b"\0ann\0pw")).lifetime_ms == 1000
        clock.now += 0.9
        assert login.serves()
    clock.now += 0.2
    assert not login.serves()


async def test_the_nonce_of_librdkafkas_that_write_their_own_part_twice_is_good_and_anothers_is_not(
    start: Start,
) -> None:
    broker = await start("SASL_PLAINTEXT")
    _, taken = await scram(await broker.connect(), "admin", "admin-secret", before_nonce="clientnonce")
    assert int(taken.error_code) == 0
    wire = await broker.connect()
    await wire.ask(17, 1, mechanism="SCRAM-SHA-512")
    first = await wire.ask(36, 2, auth_bytes=b"n,,n=admin,r=a")
    told = first.auth_bytes.decode().split(",")[0]
    refused = await wire.ask(36, 2, auth_bytes=f"c=biws,{told[:-1]},p={'A' * 88}".encode())
    assert int(refused.error_code) == 58


async def test_a_client_that_was_refused_may_read_why_and_say_no_more(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT")
    wire = await broker.connect()
    await wire.ask(17, 1, mechanism="SCRAM-SHA-256")
    assert int((await wire.ask(36, 2, auth_bytes=b"n,,n=admin")).error_code) == 58
    assert int((await wire.ask(36, 2, auth_bytes=b"n,,n=admin,r=x")).error_code) == 34
    assert int((await wire.ask(17, 1, mechanism="SCRAM-SHA-512")).error_code) == 34
    assert await wire.hung_up()


async def bare(wire: Wire, message: bytes) -> bytes:
    """A message with a length and no header, and its answer."""
    wire.send(message)
    return await asyncio.wait_for(wire.answer(), 30)


async def test_after_version_0_of_the_handshake_tokens_are_bare_until_the_client_is_known(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT", sasl_enabled_mechanisms="PLAIN,SCRAM-SHA-512")
    wire = await broker.connect()
    assert int((await wire.ask(17, 0, mechanism="PLAIN")).error_code) == 0
    assert await bare(wire, b"\0admin\0admin-secret") == b""
    assert (await wire.ask(3, 4, topics=[], allow_auto_topic_creation=False)).brokers
    assert int((await wire.ask(17, 0, mechanism="PLAIN")).error_code) == 34
    stranger = await broker.connect()
    await stranger.ask(17, 0, mechanism="SCRAM-SHA-512")
    assert (await bare(stranger, b"n,,n=admin,r=x")).startswith(b"r=x")
    stranger.send(b"c=biws,r=x,p=")
    assert await stranger.hung_up()


async def test_messages_out_of_order_and_mechanisms_that_are_not_enabled_are_refused(start: Start) -> None:
    broker = await start("SASL_PLAINTEXT")
    wire = await broker.connect()
    assert int((await wire.ask(36, 2, auth_bytes=b"")).error_code) == 34
    refused = await wire.ask(17, 1, mechanism="PLAIN")
    assert (int(refused.error_code), set(refused.mechanisms)) == (33, {"SCRAM-SHA-256", "SCRAM-SHA-512"})
    assert await wire.hung_up()
    for bad in (b"", b"\xff", b"n,,n=admin", b"p=tls-unique,,n=admin,r=x", b"n,a=root,n=admin,r=x", b"n,,n=,r=x"):
        stranger = await broker.connect()
        await stranger.ask(17, 1, mechanism="SCRAM-SHA-256")
        assert int((await stranger.ask(36, 2, auth_bytes=bad)).error_code) == 58


async def test_a_listener_without_sasl_says_so(start: Start) -> None:
    wire = await (await start("PLAINTEXT")).connect()
    assert int((await wire.ask(17, 1, mechanism="PLAIN")).error_code) == 34
    assert int((await wire.ask(36, 2, auth_bytes=b"")).error_code) == 34


class HandClock(SystemClock):
    now = 100.0

    def monotonic(self) -> float:
        return self.now


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = ec.generate_private_key(ec.SECP256R1())
SHARED = "0123456789abcdef0123456789abcdef"


def jwks() -> str:
    ours = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())) | {"kid": "ours", "use": "sig"}
    shared = {"kty": "oct", "kid": "shared", "k": base64.urlsafe_b64encode(SHARED.encode()).decode().rstrip("=")}
    return json.dumps({"keys": [shared, ours]})


def token(key: Any = KEY, algorithm: str = "RS256", kid: str = "ours", **claims: Any) -> str:
    good = {"sub": "alice", "aud": "kafka", "iss": "https://id.test", "exp": time.time() + 60}
    left = {name: value for name, value in (good | claims).items() if value is not None}
    return jwt.encode(left, key, algorithm=algorithm, headers={"kid": kid})


BAD_TOKENS = {
    "over": lambda: token(exp=time.time() - 60),
    "without an end": lambda: token(exp=None),
    "for somebody else": lambda: token(aud="web"),
    "for nobody": lambda: token(aud=None),
    "from somebody else": lambda: token(iss="https://evil.test"),
    "signed by another key": lambda: token(OTHER, "ES256"),
    "of an unknown key": lambda: token(kid="theirs"),
    "not signed": lambda: token(None, "none"),
    "signed by a shared secret": lambda: token(SHARED, "HS256", "shared"),
    "without a subject": lambda: token(sub=None),
    "garbage": lambda: "a.b.c",
}


async def test_a_token_is_good_when_it_is_signed_for_us_from_whom_we_trust_and_not_over(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "jwks.json").write_text(jwks())
    broker = await start(
        "SASL_PLAINTEXT",
        sasl_enabled_mechanisms="OAUTHBEARER",
        sasl_oauthbearer_jwks_endpoint_url=f"file://{tmp_path}/jwks.json",
        sasl_oauthbearer_expected_audience="kafka",
        sasl_oauthbearer_expected_issuer="https://id.test",
        sasl_oauthbearer_clock_skew_seconds="0",
        connection_failed_authentication_delay_ms="0",
    )

    async def bring(text: str) -> Any:
        wire = await broker.connect()
        await wire.ask(17, 1, mechanism="OAUTHBEARER")
        return await wire.ask(36, 2, auth_bytes=f"n,,\x01auth=Bearer {text}\x01\x01".encode())

    good = await bring(token())
    assert int(good.error_code) == 0 and 0 < good.session_lifetime.total_seconds() <= 60
    taken = [name for name, make in BAD_TOKENS.items() if int((await bring(make())).error_code) != 58]
    assert taken == []


def test_first_users_are_read_and_a_mistake_shows_its_line_and_nothing_of_it() -> None:
    (user,) = first_users.parse("# the first\n\nSCRAM-SHA-256=[name=a,iterations=8192,password=p,=]]\n")
    assert (user.name, user.mechanism, user.iterations, user.password) == ("a", Mechanism.SHA_256, 8192, "p,=]")
    assert "p,=" not in repr(user)
    for bad in ("SCRAM-SHA-1=[name=a,password=hush]", "name=a,password=hush", "SCRAM-SHA-512=[password=hush]"):
        with pytest.raises(InvalidConfig, match="line 1") as error:
            first_users.parse(bad)
        assert "hush" not in str(error.value)


def test_distinguished_names_are_mapped_by_the_first_rule_that_fits() -> None:
    rules = parse_rules(r"RULE:^CN=(.*?),OU=Ops.*$/$1@ops/U, RULE:CN=([^,]+),.*/$1/L ,DEFAULT")
    assert mapped("CN=Ann,OU=Ops,O=x", rules) == "ANN@OPS"
    assert mapped("CN=Bob,O=x", rules) == "bob"
    assert mapped("O=x", rules) == "O=x"
    with pytest.raises(InvalidConfig, match="RULE:pattern"):
        parse_rules("CN=x")


@pytest.mark.parametrize(
    ("configs", "listener", "what"),
    [
        ({}, "OUTSIDE", "no security protocol"),
        ({"listener.security.protocol.map": "OUTSIDE:TLS"}, "OUTSIDE", "NAME:PROTOCOL"),
        ({}, "SSL", "ssl.keystore.location is not set"),
        ({"ssl.keystore.location": "nowhere.pem"}, "SSL", "No such file"),
        ({"sasl.enabled.mechanisms": "GSSAPI"}, "SASL_PLAINTEXT", "PLAIN, SCRAM"),
        ({"sasl.enabled.mechanisms": "OAUTHBEARER"}, "SASL_PLAINTEXT", "jwks.endpoint.url"),
    ],
)
def test_doors_that_would_not_hold_are_not_opened(configs: dict[str, str], listener: str, what: str) -> None:
    with pytest.raises(InvalidConfig, match=what):
        DoorSettings.of(configs, [listener])


def test_a_listener_of_any_name_gets_the_protocol_it_is_mapped_to() -> None:
    found = DoorSettings.of({"listener.security.protocol.map": "IN:PLAINTEXT, OUT:SASL_PLAINTEXT"}, ["IN", "OUT"])
    assert found.protocols == {"IN": SecurityProtocol.PLAINTEXT, "OUT": SecurityProtocol.SASL_PLAINTEXT}
