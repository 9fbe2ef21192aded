"""TLS at a listener: contexts from PEM files, read again when a file changes, and the principal in a certificate.

A new certificate holds for the connections that come after it; those that are there keep theirs. Files that do not fit
(a key without its certificate, half of a copy) change nothing: the old ones hold, and one line says so.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.errors import InvalidConfig
from broker.security.access import ANONYMOUS

_RULE = re.compile(r"RULE:(?P<pattern>(?:\\.|[^\\/])+)/(?P<into>(?:\\.|[^\\/])*)/(?P<case>[LU]?)")
CLIENT_AUTH = {"none": ssl.CERT_NONE, "requested": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """Kafka's ssl.* of the same names, for PEM files."""

    keystore: Path
    """Private key, not encrypted, and certificate chain: a file that only the broker may read."""
    truststore: Path | None = None
    """Certificates of those who may sign clients'."""
    client_auth: str = "none"
    principal_rules: str = "DEFAULT"


class Tls:
    """What one listener needs."""

    def __init__(self, settings: TlsSettings, *, asks_clients: bool) -> None:
        self._settings = settings
        self._verify = CLIENT_AUTH[settings.client_auth] if asks_clients else ssl.CERT_NONE
        self._rules = parse_rules(settings.principal_rules)
        self.on_refused: Callable[[], None] = _nothing
        """Called for each handshake in which one side does not take what the other offers."""
        self._seen = self._stamps()
        self.context = self._make()

    def changed(self) -> bool:
        """Whether a file is another one than at the last look; then `context` is new, if the files fit each other.
        Reads files: call it in a thread. InvalidConfig when they do not fit.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        self.context = self._make()
        return True

    def principal(self, transport: asyncio.BaseTransport) -> str:
        """Whom a client's certificate names; ANONYMOUS when it showed none, or was not asked to."""
        session = transport.get_extra_info("ssl_object")
        certificate = session.getpeercert(binary_form=True) if session is not None else None
        if certificate is None or self._verify == ssl.CERT_NONE:
            return ANONYMOUS
        from cryptography.x509 import load_der_x509_certificate

        return f"User:{mapped(load_der_x509_certificate(certificate).subject.rfc4514_string(), self._rules)}"

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._settings.keystore, self._settings.truststore) if path)

    def _make(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslobject_class = _telling(lambda: self.on_refused())
        try:
            context.load_cert_chain(settings.keystore, password=_no_password)
        except (OSError, ValueError) as error:
            raise InvalidConfig(
                f"ssl.keystore.location {settings.keystore}: {_why(error)}; give a PEM file with a private key and the"
                " chain of its certificate"
            ) from None
        if self._verify != ssl.CERT_NONE:
            if settings.truststore is None:
                raise InvalidConfig(
                    "ssl.client.auth asks for certificates: say who signs them, ssl.truststore.location"
                )
            try:
                context.load_verify_locations(settings.truststore)
            except (OSError, ValueError) as error:
                raise InvalidConfig(f"ssl.truststore.location {settings.truststore}: {_why(error)}") from None
            context.verify_mode = self._verify
        return context


def _telling(refused: Callable[[], None]) -> type[ssl.SSLObject]:
    """Sessions that say when their handshake fails: the protocol above never hears of a client that did not get in."""

    class Session(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError:
                refused()
                raise

    return Session


def _nothing() -> None:
    """Nobody wants to know."""


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    return ""


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _why(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else type(error).__name__


Rule = tuple[re.Pattern[str], str, str] | None
"""Pattern, replacement and case; None: the name as it is."""


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Kafka's ssl.principal.mapping.rules. InvalidConfig that shows the rule it cannot read."""
    rules: list[Rule] = []
    left = text.strip() or "DEFAULT"
    while left:
        match = _RULE.match(left)
        if left.startswith("DEFAULT"):
            rules.append(None)
            left = left.removeprefix("DEFAULT")
        elif match is not None:
            try:
                pattern = re.compile(match["pattern"].replace("\\/", "/"))
            except re.error as error:
                raise InvalidConfig(f"ssl.principal.mapping.rules {left[:64]}: {error}") from None
            rules.append((pattern, re.sub(r"\$(\d)", r"\\\1", match["into"].replace("\\/", "/")), match["case"]))
            left = left[match.end() :]
        else:
            raise InvalidConfig(f"ssl.principal.mapping.rules {left[:64]}: write RULE:pattern/replacement/ or DEFAULT")
        left = left.strip().removeprefix(",").strip()
    return tuple(rules)


def mapped(name: str, rules: Sequence[Rule]) -> str:
    """A distinguished name by the first rule whose pattern is all of it; by none, as it is."""
    for rule in rules:
        if rule is None:
            return name
        pattern, into, case = rule
        match = pattern.fullmatch(name)
        if match is not None:
            found = match.expand(into)
            return found.lower() if case == "L" else found.upper() if case == "U" else found
    return name
