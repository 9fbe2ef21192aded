"""Identity that is not a name (law 10): topic UUIDs and partition uids. Randomness is handed in as `entropy`.

Kafka writes a UUID as 22 characters of unpadded URL-safe base64, and so do we wherever a person may see one.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable

Entropy = Callable[[int], bytes]
"""Gives that many random bytes: os.urandom at the edge, a seeded generator in a test."""

ZERO = uuid.UUID(int=0)
"""Kafka's "no topic id"."""

_RESERVED = (ZERO, uuid.UUID(int=1))


def new_uuid(entropy: Entropy) -> uuid.UUID:
    """A random UUID that Kafka has not reserved and whose text does not begin with a dash (it would read as a flag)."""
    while True:
        fresh = uuid.UUID(bytes=entropy(16), version=4)
        if fresh not in _RESERVED and not uuid_text(fresh).startswith("-"):
            return fresh


def new_uid(entropy: Entropy) -> int:
    """A random partition uid: 63 bits, never 0, so that it fits SQL's signed integers and a WAL header alike."""
    while True:
        fresh = int.from_bytes(entropy(8), "big") >> 1
        if fresh:
            return fresh


def uuid_text(value: uuid.UUID) -> str:
    """Kafka's text of a UUID: 22 characters."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def uuid_from_text(text: str) -> uuid.UUID:
    """The reverse of `uuid_text`; ValueError when the text is not 16 bytes of base64."""
    return uuid.UUID(bytes=base64.urlsafe_b64decode(text + "=="))
