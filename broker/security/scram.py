"""SCRAM-SHA-256 and -512, the server's side (RFC 5802, RFC 7677), and what is kept of a password.

A user that does not exist is taken through the same steps as one that does, with a salt that is always the same for the
same name and as long and as costly as other users': only the last step fails, as for a wrong password, with the same
words and after the same work.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from broker.errors import SaslAuthenticationFailed
from broker.metadata.image import ScramCredential

LEAST_ITERATIONS, MOST_ITERATIONS = 4096, 16384
_SALT_BYTES = 24
_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"
"""Of the salts that Kafka's own tools make."""
_MAX_MESSAGE = 4096
_MAX_NONCE = 256
Entropy = Callable[[int], bytes]


class Mechanism(IntEnum):
    """A SCRAM mechanism, by its number in Kafka's credential APIs."""

    SHA_256 = 1
    SHA_512 = 2

    @property
    def hash_name(self) -> str:
        return "sha256" if self is Mechanism.SHA_256 else "sha512"

    @property
    def sasl_name(self) -> str:
        return "SCRAM-SHA-256" if self is Mechanism.SHA_256 else "SCRAM-SHA-512"


def salted(mechanism: Mechanism, password: str, salt: bytes, iterations: int) -> bytes:
    """Milliseconds of work, on purpose: run it in a thread."""
    return hashlib.pbkdf2_hmac(mechanism.hash_name, password.encode(), salt, iterations)


def kept(mechanism: Mechanism, salted_password: bytes, salt: bytes, iterations: int) -> ScramCredential:
    """What is stored of a salted password."""
    client_key = _mac(mechanism, salted_password, b"Client Key")
    return ScramCredential(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.new(mechanism.hash_name, client_key).digest(),
        server_key=_mac(mechanism, salted_password, b"Server Key"),
    )


def of_password(mechanism: Mechanism, password: str, entropy: Entropy, iterations: int) -> ScramCredential:
    """A new credential for a password."""
    salt = entropy(_SALT_BYTES)
    return kept(mechanism, salted(mechanism, password, salt, iterations), salt, iterations)


def knows(mechanism: Mechanism, credential: ScramCredential, salted_password: bytes) -> bool:
    """Whether this is the password the credential was made from."""
    again = kept(mechanism, salted_password, credential.salt, credential.iterations)
    return hmac.compare_digest(again.stored_key, credential.stored_key)


def find(
    credentials: Mapping[tuple[str, int], ScramCredential], name: str, mechanism: Mechanism, pepper: bytes
) -> tuple[ScramCredential, bool]:
    """A user's credential, or one that nobody's password fits; and whether it is real. Both take the same work."""
    mark = hmac.digest(pepper, name.encode(), "sha512")
    alike = [one for (_, kind), one in credentials.items() if kind == mechanism]
    model = alike[int.from_bytes(mark[-8:], "big") % len(alike)] if alike else None
    salt = hashlib.shake_256(mark).digest(len(model.salt) if model else _SALT_BYTES)
    if model is not None and model.salt.isalnum():
        salt = bytes(_LETTERS[byte % len(_LETTERS)] for byte in salt)
    made_up = ScramCredential(
        salt=salt,
        iterations=model.iterations if model else LEAST_ITERATIONS,
        stored_key=hashlib.new(mechanism.hash_name, mark).digest(),
        server_key=hashlib.new(mechanism.hash_name, mark[::-1]).digest(),
    )
    real = credentials.get((name, mechanism))
    return (made_up, False) if real is None else (real, True)


@dataclass(frozen=True, kw_only=True)
class _Begun:
    """Between the two messages of a client."""

    name: str
    credential: ScramCredential
    real: bool
    gs2: str
    nonce: str
    auth_message: str


class Scram:
    """One exchange. `first` and then `final`; both raise SaslAuthenticationFailed without saying why."""

    def __init__(
        self,
        mechanism: Mechanism,
        credentials: Mapping[tuple[str, int], ScramCredential],
        pepper: bytes,
        entropy: Entropy,
    ) -> None:
        self._mechanism = mechanism
        self._credentials = credentials
        self._pepper = pepper
        self._entropy = entropy
        self._begun: _Begun | None = None

    @property
    def begun(self) -> bool:
        return self._begun is not None

    def first(self, message: bytes) -> bytes:
        """Who it wants to be, and its nonce; the answer has ours, the salt and the iterations."""
        text = _text(message)
        flag, authorization, bare = _split(text)
        attributes = _attributes(bare)
        name, nonce = _name(attributes.get("n", "")), attributes.get("r", "")
        wrong_flag = flag not in ("n", "y") or not 0 < len(nonce) <= _MAX_NONCE or "tokenauth" in attributes
        if wrong_flag or (authorization and _name(authorization.removeprefix("a=")) != name):
            raise SaslAuthenticationFailed
        credential, real = find(self._credentials, name, self._mechanism, self._pepper)
        nonce += base64.b64encode(self._entropy(18)).decode()
        salt = base64.b64encode(credential.salt).decode()
        answer = f"r={nonce},s={salt},i={credential.iterations}"
        self._begun = _Begun(
            name=name,
            credential=credential,
            real=real,
            gs2=f"{flag},{authorization},",
            nonce=nonce,
            auth_message=f"{bare},{answer}",
        )
        return answer.encode()

    def final(self, message: bytes) -> tuple[bytes, str]:
        """The client's proof; the answer has ours, and the name is whose password it knows."""
        assert self._begun is not None
        begun, self._begun = self._begun, None
        text = _text(message)
        without_proof, comma, _ = text.rpartition(",p=")
        attributes = _attributes(text)
        proof = _bytes(attributes.get("p", ""))
        bound = _bytes(attributes.get("c", "")) == begun.gs2.encode()
        auth_message = f"{begun.auth_message},{without_proof}".encode()
        signature = _mac(self._mechanism, begun.credential.stored_key, auth_message)
        fits = len(proof) == len(signature)
        client_key = bytes(a ^ b for a, b in zip(proof.ljust(len(signature), b"\0"), signature, strict=False))
        found = hashlib.new(self._mechanism.hash_name, client_key).digest()
        ours = _mac(self._mechanism, begun.credential.server_key, auth_message)
        same = hmac.compare_digest(found, begun.credential.stored_key)
        fresh = attributes.get("r", "").endswith(
            begun.nonce
        )  # librdkafka before 2.2 puts its own nonce before it twice
        if not (same and begun.real and fits and bound and comma and fresh):
            raise SaslAuthenticationFailed
        return b"v=" + base64.b64encode(ours), begun.name


def _split(text: str) -> tuple[str, str, str]:
    """Channel binding flag, authorization identity (`a=...` or empty), and the rest of a first message."""
    pieces = text.split(",", 2)
    if len(pieces) != 3:
        raise SaslAuthenticationFailed
    return pieces[0], pieces[1], pieces[2]


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in text.split(","):
        key, equals, value = piece.partition("=")
        if not equals or key in found:
            raise SaslAuthenticationFailed
        found[key] = value
    return found


def _name(text: str) -> str:
    """A name as SCRAM writes it: `=2C` is a comma, `=3D` an equals sign."""
    name = text.replace("=2C", ",").replace("=3D", "=")
    if not name:
        raise SaslAuthenticationFailed
    return name


def _text(message: bytes) -> str:
    try:
        if len(message) > _MAX_MESSAGE:
            raise SaslAuthenticationFailed
        return message.decode()
    except UnicodeDecodeError:
        raise SaslAuthenticationFailed from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslAuthenticationFailed from None


def _mac(mechanism: Mechanism, key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, mechanism.hash_name)
