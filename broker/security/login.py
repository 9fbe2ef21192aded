"""How a connection says who it is: SaslHandshake picks a mechanism, SaslAuthenticate carries its messages.

1. Until it has said so, a connection may ask for nothing else (the server sees to it), and a failure ends it.
2. Every failure has the same words and costs at least the same time: nobody learns which names exist.
3. A session may be renewed by the same principal through the same mechanism; once it is over, nothing else is served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from broker.clock import Clock
from broker.errors import IllegalSaslState, SaslAuthenticationFailed, UnsupportedSaslMechanism
from broker.metadata.image import ScramCredential
from broker.security.oauth import Tokens
from broker.security.scram import Entropy, Mechanism, Scram, find, knows, salted

PLAIN, OAUTHBEARER = "PLAIN", "OAUTHBEARER"
SCRAM = {mechanism.sasl_name: mechanism for mechanism in Mechanism}
MECHANISMS = (PLAIN, *SCRAM, OAUTHBEARER)
_MAX_PLAIN = 4096
_HASHING_AT_ONCE = 2
"""PLAIN costs us what it costs an attacker nothing to ask for: thousands of hashes each."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """The outcome of one message."""

    answer: bytes
    name: str | None = None
    """Who it is, once that is known."""
    lifetime_ms: int = 0
    """Of the session; 0: for as long as the connection lives."""


class Doorman:
    """What all connections to a broker's SASL listeners share."""

    def __init__(
        self,
        *,
        mechanisms: Sequence[str],
        credentials: Callable[[], Mapping[tuple[str, int], ScramCredential]],
        tokens: Tokens | None,
        pepper: bytes,
        entropy: Entropy,
        clock: Clock,
        max_session_ms: int,
        failure_delay_s: float,
    ) -> None:
        self.mechanisms = tuple(mechanisms)
        self.credentials = credentials
        self.tokens = tokens
        self.pepper = pepper
        self.entropy = entropy
        self.clock = clock
        self.max_session_ms = max_session_ms
        self.failure_delay_s = failure_delay_s
        self._hashing = asyncio.Semaphore(_HASHING_AT_ONCE)

    async def plain(self, message: bytes) -> str:
        """The name in a PLAIN message whose password fits one of the user's SCRAM credentials."""
        try:
            authorization, name, password = message.decode().split("\0")
        except (UnicodeDecodeError, ValueError):
            raise SaslAuthenticationFailed from None
        if len(message) > _MAX_PLAIN or not name or not password or authorization not in ("", name):
            raise SaslAuthenticationFailed
        credentials = self.credentials()
        mechanism = Mechanism.SHA_512
        if (name, Mechanism.SHA_256) in credentials and (name, Mechanism.SHA_512) not in credentials:
            mechanism = Mechanism.SHA_256
        one, real = find(credentials, name, mechanism, self.pepper)
        async with self._hashing:
            found = await asyncio.to_thread(salted, mechanism, password, one.salt, one.iterations)
        if not (knows(mechanism, one, found) and real):
            raise SaslAuthenticationFailed
        return name


class Login:
    """One connection's way in."""

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman
        self._mechanism: str | None = None
        """Chosen by a handshake, and not carried through yet."""
        self._scram: Scram | None = None
        self._busy = False
        self._name: str | None = None
        self._by: str | None = None
        self._ends_at: float | None = None
        self.bare = False
        """The client's messages come without Kafka's header, until it is known (SaslHandshake version 0)."""
        self.failed = False
        """Nothing more is heard, and the connection is to be closed, once it has its answer."""

    @property
    def authenticated(self) -> bool:
        return self._name is not None

    @property
    def by(self) -> str:
        """The mechanism it comes by, or tried to; "unknown" where that is none of ours."""
        return self._mechanism or self._by or "unknown"

    def serves(self) -> bool:
        """Whether requests are served now: the connection has said who it is, and its session is not over."""
        if self._name is None or self.failed:
            return False
        return self._ends_at is None or self._doorman.clock.monotonic() < self._ends_at

    def handshake(self, mechanism: str, *, bare: bool = False) -> None:
        """Begins with one of the mechanisms. UnsupportedSaslMechanism, IllegalSaslState."""
        if self._busy or self.failed or self._mechanism is not None:
            raise IllegalSaslState("SaslHandshake while another one is not carried through")
        if mechanism not in self._doorman.mechanisms:
            self.failed = not self.authenticated
            raise UnsupportedSaslMechanism(f"mechanism {mechanism[:32]} is not enabled")
        if self._by is not None and mechanism != self._by:
            raise IllegalSaslState(f"the session was begun with {self._by}; renew it with that")
        if bare and self.authenticated:
            raise IllegalSaslState("a session is renewed with SaslHandshake version 1 or newer")
        self.bare = bare
        self._mechanism = mechanism
        self._scram = self._new_scram(mechanism)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return self._doorman.mechanisms

    async def say(self, message: bytes) -> Said:
        """The next message of the client. SaslAuthenticationFailed, after a while, for all that is wrong with it."""
        if self._mechanism is None or self._busy or self.failed:
            raise IllegalSaslState("SaslAuthenticate comes after SaslHandshake, one at a time")
        self._busy = True
        mechanism = self._mechanism
        try:
            return await self._next(mechanism, message)
        except SaslAuthenticationFailed:
            self.failed = True
            await self._doorman.clock.sleep(self._doorman.failure_delay_s)
            raise SaslAuthenticationFailed(
                f"Authentication failed due to invalid credentials with SASL mechanism {mechanism}"
            ) from None
        finally:
            self._busy = False

    async def _next(self, mechanism: str, message: bytes) -> Said:
        if mechanism == PLAIN:
            return self._done(b"", await self._doorman.plain(message), None)
        if mechanism == OAUTHBEARER:
            assert self._doorman.tokens is not None
            bearer = await self._doorman.tokens.verify(message)
            left_ms = int(bearer.expires_at_s * 1000 - self._doorman.clock.wall_ms())
            return self._done(b"", bearer.name, left_ms)
        assert self._scram is not None
        if not self._scram.begun:
            return Said(answer=self._scram.first(message))
        answer, name = self._scram.final(message)
        return self._done(answer, name, None)

    def _new_scram(self, mechanism: str) -> Scram | None:
        if mechanism not in SCRAM:
            return None
        doorman = self._doorman
        return Scram(SCRAM[mechanism], doorman.credentials(), doorman.pepper, doorman.entropy)

    def _done(self, answer: bytes, name: str, left_ms: int | None) -> Said:
        if self._name not in (None, name):
            raise SaslAuthenticationFailed
        if left_ms is not None and left_ms <= 0:
            raise SaslAuthenticationFailed
        limits = [limit for limit in (left_ms, self._doorman.max_session_ms) if limit]
        lifetime_ms = min(limits) if limits else 0
        self._ends_at = self._doorman.clock.monotonic() + lifetime_ms / 1000 if lifetime_ms else None
        self._name, self._by = name, self._mechanism
        self._mechanism, self._scram, self.bare = None, None, False
        return Said(answer=answer, name=name, lifetime_ms=lifetime_ms)
