"""The listeners of a broker: which of them encrypt, which ask who comes, and how.

    listener.security.protocol.map   NAME:PLAINTEXT | SSL | SASL_PLAINTEXT | SASL_SSL; those four names mean themselves
    SSL                              the certificate says who it is, where ssl.client.auth asks for one
    SASL_*                           sasl.enabled.mechanisms (login.py)

Brokers among themselves do not come through here: they have a listener and a secret of their own (peers/), and with
security.inter.broker.protocol=SSL the same certificates (peer_tls.py).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from broker.clock import Clock
from broker.errors import InvalidConfig
from broker.metadata.image import ScramCredential
from broker.security.login import MECHANISMS, OAUTHBEARER, Doorman, Login
from broker.security.oauth import OAuthSettings, Tokens
from broker.security.peer_tls import PeerTls
from broker.security.scram import Entropy
from broker.security.tls import Tls, TlsSettings

_DEFAULT_MECHANISMS = "SCRAM-SHA-256,SCRAM-SHA-512"


class SecurityProtocol(StrEnum):
    """Kafka's four."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def encrypts(self) -> bool:
        return self in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)

    @property
    def asks(self) -> bool:
        return self in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


@dataclass(frozen=True, kw_only=True)
class DoorSettings:
    """What a broker was started with."""

    protocols: Mapping[str, SecurityProtocol]
    """By listener."""
    mechanisms: tuple[str, ...] = ()
    tls: TlsSettings | None = None
    peer_tls: TlsSettings | None = None
    """Between brokers; None: in the clear."""
    checks_peer_names: bool = True
    oauth: OAuthSettings | None = None
    max_session_ms: int = 0
    max_receive_bytes: int = 65536
    failure_delay_s: float = 0.1

    @classmethod
    def of(cls, configs: Mapping[str, str], listeners: Collection[str]) -> DoorSettings:
        """From Kafka's names. InvalidConfig that says what is missing or does not fit."""
        protocols = _protocols(configs.get("listener.security.protocol.map", ""), listeners)
        mechanisms: tuple[str, ...] = ()
        if any(each.asks for each in protocols.values()):
            told = configs.get("sasl.enabled.mechanisms", _DEFAULT_MECHANISMS)
            mechanisms = tuple(filter(None, (each.strip() for each in told.split(","))))
            if not mechanisms or set(mechanisms) - set(MECHANISMS):
                raise InvalidConfig(f"sasl.enabled.mechanisms {told[:64]}: name some of {', '.join(MECHANISMS)}")
        return cls(
            protocols=protocols,
            mechanisms=mechanisms,
            tls=_tls(configs) if any(each.encrypts for each in protocols.values()) else None,
            peer_tls=_peer_tls(configs) if configs.get("security.inter.broker.protocol") == "SSL" else None,
            checks_peer_names=bool(configs.get("ssl.endpoint.identification.algorithm", "https")),
            oauth=_oauth(configs) if OAUTHBEARER in mechanisms else None,
            max_session_ms=int(configs.get("connections.max.reauth.ms", "0")),
            max_receive_bytes=int(configs.get("sasl.server.max.receive.size", "65536")),
            failure_delay_s=int(configs.get("connection.failed.authentication.delay.ms", "100")) / 1000,
        )

    def between_brokers(self) -> PeerTls | None:
        """How brokers encrypt what they say to each other; None: they do not."""
        return PeerTls(self.peer_tls, checks_names=self.checks_peer_names) if self.peer_tls is not None else None


class Doors:
    """The same, at work."""

    def __init__(
        self,
        settings: DoorSettings,
        *,
        credentials: Callable[[], Mapping[tuple[str, int], ScramCredential]],
        secret: bytes,
        entropy: Entropy,
        clock: Clock,
    ) -> None:
        """`secret` is the cluster's own: made-up users come from it, at every broker alike."""
        self.settings = settings
        self._doorman = Doorman(
            mechanisms=settings.mechanisms,
            credentials=credentials,
            tokens=Tokens(settings.oauth, clock) if settings.oauth is not None else None,
            pepper=hmac.digest(secret, b"users that do not exist", "sha256"),
            entropy=entropy,
            clock=clock,
            max_session_ms=settings.max_session_ms,
            failure_delay_s=settings.failure_delay_s,
        )
        self._tls = {
            name: Tls(settings.tls, asks_clients=not protocol.asks)
            for name, protocol in settings.protocols.items()
            if protocol.encrypts and settings.tls is not None
        }

    def tls(self, listener: str, refused: Callable[[str], None]) -> Tls | None:
        """How the listener encrypts; None: it does not. `refused` is called with its name when a handshake fails."""
        found = self._tls.get(listener)
        if found is not None:
            found.on_refused = partial(refused, listener)
        return found

    def login(self, listener: str) -> Login | None:
        """What a new connection has to go through; None: nothing."""
        return Login(self._doorman) if self.settings.protocols[listener].asks else None


def _protocols(told: str, listeners: Collection[str]) -> dict[str, SecurityProtocol]:
    known = {protocol.value: protocol for protocol in SecurityProtocol}
    named = dict(known)
    for pair in filter(None, (pair.strip() for pair in told.split(","))):
        name, _, protocol = pair.partition(":")
        if protocol not in known:
            raise InvalidConfig(
                f"listener.security.protocol.map {pair[:64]}: write NAME:PROTOCOL, of {', '.join(known)}"
            )
        named[name.strip()] = known[protocol]
    for listener in listeners:
        if listener not in named:
            raise InvalidConfig(
                f"listener {listener} has no security protocol: name it after one ({', '.join(known)}), or set"
                f" listener.security.protocol.map={listener}:PROTOCOL"
            )
    return {listener: named[listener] for listener in listeners}


def _tls(configs: Mapping[str, str]) -> TlsSettings:
    settings = _files(configs)
    Tls(settings, asks_clients=True)
    return settings


def _peer_tls(configs: Mapping[str, str]) -> TlsSettings:
    settings = _files(configs)
    PeerTls(settings, checks_names=True)
    return settings


def _files(configs: Mapping[str, str]) -> TlsSettings:
    keystore, truststore = configs.get("ssl.keystore.location", ""), configs.get("ssl.truststore.location", "")
    if not keystore:
        raise InvalidConfig("a listener encrypts and ssl.keystore.location is not set: give a PEM file, key and chain")
    return TlsSettings(
        keystore=Path(keystore),
        truststore=Path(truststore) if truststore else None,
        client_auth=configs.get("ssl.client.auth", "none"),
        principal_rules=configs.get("ssl.principal.mapping.rules", "DEFAULT"),
    )


def _oauth(configs: Mapping[str, str]) -> OAuthSettings:
    def needed(name: str) -> str:
        value = configs.get(f"sasl.oauthbearer.{name}", "").strip()
        if not value:
            raise InvalidConfig(f"OAUTHBEARER is enabled: set sasl.oauthbearer.{name}, so that not every token is good")
        return value

    url = needed("jwks.endpoint.url")
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http", "file") or parts.username or parts.password:
        raise InvalidConfig("sasl.oauthbearer.jwks.endpoint.url: write https://... or file:///path, without a password")
    audiences = tuple(filter(None, (each.strip() for each in needed("expected.audience").split(","))))
    return OAuthSettings(
        jwks_url=url,
        audiences=audiences,
        issuer=needed("expected.issuer"),
        subject_claim=configs.get("sasl.oauthbearer.sub.claim.name", "sub"),
        skew_s=int(configs.get("sasl.oauthbearer.clock.skew.seconds", "30")),
        refresh_s=int(configs.get("sasl.oauthbearer.jwks.endpoint.refresh.ms", "3600000")) / 1000,
    )
