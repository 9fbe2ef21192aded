"""The Java client of Apache Kafka, which is told what to do over loopback: see remote.py."""

from __future__ import annotations

from tests.clients import java_program
from tests.clients.cells import COLUMNS, Cell, Ground
from tests.clients.driver import CODECS, LARGE_LIMIT
from tests.clients.scrape import samples
from tests.clients.usual import cells

NAME = "java"
CANNOT: dict[str, str] = {}
SETTINGS = {
    "large": f"max.request.size={LARGE_LIMIT} (producer); max.message.bytes={LARGE_LIMIT} on the topic",
    "kip848": "group.protocol=consumer",
    "near": "client.rack",
    "oauthbearer": "sasl.login.callback.handler.class, sasl.oauthbearer.token.endpoint.url, and the JVM's flag "
    "org.apache.kafka.sasl.oauthbearer.allowed.urls",
    "mtls": "ssl.keystore.type=PEM",
}


def version() -> str:
    return java_program.kafka_version()


def available() -> str:
    return java_program.missing()


_USUAL = cells(java_program.DRIVER, (column for column in COLUMNS if column != "admin"), CODECS)


def _consume(ground: Ground) -> list[str]:
    """As usual; and what it reports of itself unasked (KIP-714) arrives, at the latest as it closes."""
    faults = _USUAL["consume"](ground)
    told = [each for address in ground.http for each in samples(address, "streampilot_client_telemetry", ground.name)]
    versions = {labels["version"] for labels, _ in told}
    return faults + ([] if versions == {version()} else [f"it reported metrics as versions {sorted(versions)}"])


CELLS: dict[str, Cell] = {**_USUAL, "consume": _consume, "admin": java_program.DRIVER.admin}
