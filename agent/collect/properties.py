"""Kafka's own client.properties to the options of the admin client: SASL PLAIN and SCRAM with JAAS, TLS, mTLS.

The file is what an operator already has for `kafka-topics.sh --command-config`. Settings that only producers or
consumers read are passed over; a key nobody knows is an error that names the nearest known one, because a misspelt
security setting that is ignored is worse than a refusal. Passwords never appear in a message.
"""

from __future__ import annotations

import difflib
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.collect.errors import BadProperties

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
USED = frozenset(
    {
        "bootstrap.servers",
        "client.id",
        "request.timeout.ms",
        "security.protocol",
        "sasl.mechanism",
        "sasl.jaas.config",
        "ssl.truststore.location",
        "ssl.truststore.type",
        "ssl.truststore.password",
        "ssl.truststore.certificates",
        "ssl.keystore.location",
        "ssl.keystore.type",
        "ssl.keystore.password",
        "ssl.key.password",
        "ssl.endpoint.identification.algorithm",
    }
)
PASSED_OVER = re.compile(
    r"(acks|retries|linger\.ms|batch\.size|buffer\.memory|compression\.type|enable\..+|isolation\.level|group\..+|"
    r"(key|value)\.(de)?serializer|auto\..+|fetch\..+|max\..+|heartbeat\..+|session\..+|partition\..+|transaction.+|"
    r"client\.(rack|dns\.lookup)|connections\..+|metadata\..+|metrics?\..+|receive\..+|send\..+|retry\..+|reconnect\..+|"
    r"default\.api\.timeout\.ms|delivery\.timeout\.ms|interceptor\..+|socket\..+|ssl\.(protocol|enabled\.protocols|"
    r"cipher\.suites|provider|secure\.random\.implementation)|sasl\.login\..+|sasl\.client\..+|security\.providers)"
)
LINE = re.compile(r"((?:\\.|[^\\=:\s])+)\s*[=:\s]?\s*(.*)", re.S)
JAAS = re.compile(r"\s*([\w.$]+)\s+(required|requisite|sufficient|optional)\b(.*?);?\s*$", re.S | re.I)
JAAS_OPTION = re.compile(r"([\w.]+)\s*=\s*(?:\"((?:\\.|[^\"\\])*)\"|([^\s;\"]+))")
ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True, kw_only=True)
class AdminOptions:
    """How to connect: keyword arguments of kafka-python's admin client. Shows no secret."""

    security_protocol: str = "PLAINTEXT"
    client_id: str | None = None
    request_timeout_ms: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict, repr=False)


def read_properties(path: Path) -> AdminOptions:
    """Reads and checks a client.properties file; BadProperties says what is wrong and what to do."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadProperties(f"cannot read {path}: {error}; pass a Kafka client.properties file") from error
    settings = parse_properties(text)
    for key in settings:
        if key not in USED and not PASSED_OVER.fullmatch(key):
            near = difflib.get_close_matches(key, USED, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(USED))}"
            raise BadProperties(f"{path}: unknown setting {key!r}; {advice}")
    return _options(path, settings)


def parse_properties(text: str) -> dict[str, str]:
    """Java's properties format: comments, `=`, `:` or blank as separator, continued lines, escapes."""
    settings: dict[str, str] = {}
    for line in _logical_lines(text):
        matched = LINE.match(line)
        if matched:
            settings[_unescape(matched[1])] = _unescape(matched[2]).strip()
    return settings


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    pending = ""
    for raw in text.splitlines():
        line = raw.lstrip()
        if not pending and (not line or line[0] in "#!"):
            continue
        pending += line
        if (len(pending) - len(pending.rstrip("\\"))) % 2:
            pending = pending[:-1]
            continue
        lines.append(pending)
        pending = ""
    return [*lines, pending] if pending else lines


def _unescape(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), text)


def _options(path: Path, settings: dict[str, str]) -> AdminOptions:
    protocol = settings.get("security.protocol", "PLAINTEXT").upper()
    if protocol not in PROTOCOLS:
        raise BadProperties(f"{path}: security.protocol is {protocol!r}; use one of {', '.join(PROTOCOLS)}")
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        arguments |= _sasl(path, settings)
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = _tls(path, settings)
        arguments["ssl_check_hostname"] = arguments["ssl_context"].check_hostname
    timeout = settings.get("request.timeout.ms")
    if timeout is not None and not timeout.isdigit():
        raise BadProperties(f"{path}: request.timeout.ms is {timeout!r}; use whole milliseconds")
    return AdminOptions(
        security_protocol=protocol,
        client_id=settings.get("client.id"),
        request_timeout_ms=int(timeout) if timeout else None,
        arguments=arguments,
    )


def _sasl(path: Path, settings: dict[str, str]) -> dict[str, Any]:
    mechanism = settings.get("sasl.mechanism", "").upper()
    if mechanism not in MECHANISMS:
        raise BadProperties(f"{path}: sasl.mechanism is {mechanism!r}; this agent speaks {', '.join(MECHANISMS)}")
    jaas = JAAS.match(settings.get("sasl.jaas.config", ""))
    if jaas is None:
        raise BadProperties(
            f"{path}: sasl.jaas.config is missing or cannot be read; write "
            'org.apache.kafka.common.security.scram.ScramLoginModule required username="..." password="...";'
        )
    wanted = "PlainLoginModule" if mechanism == "PLAIN" else "ScramLoginModule"
    if not jaas[1].endswith(wanted):
        raise BadProperties(f"{path}: sasl.mechanism {mechanism} needs {wanted}, sasl.jaas.config names {jaas[1]}")
    options = {
        name: _unescape(quoted) if quoted or not bare else bare for name, quoted, bare in JAAS_OPTION.findall(jaas[3])
    }
    for name in ("username", "password"):
        if not options.get(name):
            raise BadProperties(f"{path}: sasl.jaas.config has no {name}")
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": options["username"],
        "sasl_plain_password": options["password"],
    }


def _tls(path: Path, settings: dict[str, str]) -> ssl.SSLContext:
    trust = _pem(path, settings, "ssl.truststore")
    key = _pem(path, settings, "ssl.keystore")
    try:
        context = ssl.create_default_context(
            cafile=None if trust is None else str(trust), cadata=settings.get("ssl.truststore.certificates")
        )
        if key is not None:
            password = settings.get("ssl.key.password") or settings.get("ssl.keystore.password")
            context.load_cert_chain(str(key), password=password or "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise BadProperties(f"{path}: the TLS files cannot be used: {error}; check that they are PEM") from error
    if settings.get("ssl.endpoint.identification.algorithm", "https").lower() not in ("https",):
        context.check_hostname = False
    return context


def _pem(path: Path, settings: dict[str, str], store: str) -> Path | None:
    location = settings.get(f"{store}.location")
    if location is None:
        return None
    kind = settings.get(f"{store}.type", "PEM" if location.endswith((".pem", ".crt", ".key")) else "JKS").upper()
    if kind != "PEM":
        raise BadProperties(
            f"{path}: {store}.location is a {kind} file; convert it (`keytool -importkeystore`, `openssl pkcs12`), "
            f"then set {store}.type=PEM"
        )
    file = Path(location) if Path(location).is_absolute() else path.parent / location
    if not file.is_file():
        raise BadProperties(f"{path}: {store}.location names {location}, which is not there")
    return file
