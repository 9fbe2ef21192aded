"""OAUTHBEARER (RFC 7628): a JWT, signed by a key of a JWKS, for us, from whom we trust, and not over.

Signatures are public-key ones only: `none` and shared secrets are no algorithms here, whatever a token or a JWKS says.
The keys come from a file or an address; they are read again after a while, and when a token names a key that is not
among them, but not more often than every ten seconds however many such tokens come.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from broker.clock import Clock
from broker.errors import SaslAuthenticationFailed

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_KINDS = ("RSA", "EC", "OKP")
"""Key types of those; a symmetric key in a JWKS is no key of ours."""
_LEAST_WAIT_S = 10.0
_FETCH_S = 10.0
_MAX_JWKS_BYTES = 1024 * 1024
Read = Callable[[str], bytes]


@dataclass(frozen=True, kw_only=True)
class OAuthSettings:
    """Kafka's sasl.oauthbearer.* of the same names."""

    jwks_url: str
    audiences: tuple[str, ...]
    issuer: str
    subject_claim: str = "sub"
    skew_s: int = 30
    refresh_s: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """What a good token says."""

    name: str
    expires_at_s: float
    """By the wall clock."""


def read_url(url: str) -> bytes:
    """A `file://` or `https://` address, at most a mebibyte of it. Blocks: run it in a thread."""
    with urllib.request.urlopen(url, timeout=_FETCH_S) as answer:
        found: bytes = answer.read(_MAX_JWKS_BYTES + 1)
    if len(found) > _MAX_JWKS_BYTES:
        raise ValueError(f"more than {_MAX_JWKS_BYTES} bytes")
    return found


class Tokens:
    """Verifies bearer tokens against the keys of one JWKS."""

    def __init__(self, settings: OAuthSettings, clock: Clock, read: Read = read_url) -> None:
        self._settings = settings
        self._clock = clock
        self._read = read
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._reading = asyncio.Lock()

    async def verify(self, message: bytes) -> Bearer:
        """The bearer of a client's first message. SaslAuthenticationFailed, whatever is wrong."""
        token = _token(message)
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise SaslAuthenticationFailed
            key = await self._key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=[header["alg"]],
                audience=list(self._settings.audiences),
                issuer=self._settings.issuer,
                leeway=self._settings.skew_s,
                options={"require": ["exp", "aud", "iss", self._settings.subject_claim]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            raise SaslAuthenticationFailed from None
        name = claims[self._settings.subject_claim]
        if not isinstance(name, str) or not name:
            raise SaslAuthenticationFailed
        return Bearer(name=name, expires_at_s=float(claims["exp"]))

    async def _key(self, key_id: str | None) -> jwt.PyJWK:
        """The key of that id; without an id, the only one there is."""
        now = self._clock.monotonic()
        old = self._read_at is None or now - self._read_at > self._settings.refresh_s
        if old or (self._find(key_id) is None and now - (self._read_at or 0.0) > _LEAST_WAIT_S):
            await self._refresh(now)
        found = self._find(key_id)
        if found is None:
            raise SaslAuthenticationFailed
        return found

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _refresh(self, asked_at: float) -> None:
        async with self._reading:
            if self._read_at is not None and self._read_at >= asked_at:
                return
            self._read_at = self._clock.monotonic()
            try:
                text = await asyncio.to_thread(self._read, self._settings.jwks_url)
                self._keys = _keys(json.loads(text))
            except (OSError, ValueError, jwt.PyJWTError) as error:
                where = urllib.parse.urlsplit(self._settings.jwks_url)
                log.warning(
                    "sasl.oauthbearer.jwks.endpoint.url %s://%s%s cannot be read (%s); the keys known before hold",
                    where.scheme, where.hostname or "", where.path, type(error).__name__,
                )  # fmt: skip


def _keys(document: Any) -> dict[str | None, jwt.PyJWK]:
    """The public keys of a JWKS, by id; what is no key for signatures is left out."""
    found: dict[str | None, jwt.PyJWK] = {}
    for one in document["keys"] if isinstance(document, dict) and isinstance(document.get("keys"), list) else ():
        if isinstance(one, dict) and one.get("kty") in _KINDS and one.get("use", "sig") == "sig":
            try:
                found[one.get("kid")] = jwt.PyJWK(one)
            except jwt.PyJWTError:
                continue
    return found


def _token(message: bytes) -> str:
    """The token in `n,,^Aauth=Bearer TOKEN^A^A`."""
    try:
        head, *pairs = message.decode("ascii").split("\x01")
    except UnicodeDecodeError:
        raise SaslAuthenticationFailed from None
    if not head.startswith(("n,", "y,")):
        raise SaslAuthenticationFailed
    for pair in pairs:
        key, _, value = pair.partition("=")
        kind, _, token = value.partition(" ")
        if key == "auth" and kind.lower() == "bearer" and token:
            return token.strip()
    raise SaslAuthenticationFailed
