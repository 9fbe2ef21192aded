"""The demo's records: a header that proves what was lost, twice there or out of order, then a body of known size.

    value  "SPD1" | sequence u64 (of the partition) | key sequence u64 (of the key) | body

The body is 70 % random bytes and 30 % one repeated text, so lz4 and zstd both shrink it to the random part, within a
percent: the demo knows the bytes on the wire of each partition before the first record is sent.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

HEADER = struct.Struct(">4sQQ")
MAGIC = b"SPD1"
RANDOM_SHARE = 0.7
OVERHEAD_BYTES = 36
"""Of one record on the wire besides its body: header, key, varints, and its part of the batch header."""
POOL_BYTES = 8 * 1024 * 1024
SMALLEST_BYTES, LARGEST_BYTES = 2048, 8192
"""A record on the wire."""

_TEXT = (b'{"currency":"USD","channel":"web","status":"accepted"}' * 160)[:8192]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a record says of itself."""

    sequence: int
    key_sequence: int


class Payloads:
    """Makes values whose size on the wire is what was asked for."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._pool = rng.randbytes(POOL_BYTES)

    def size(self) -> int:
        """The bytes that the next record shall take on the wire."""
        return self._rng.randint(SMALLEST_BYTES, LARGEST_BYTES)

    def value(self, mark: Mark, wire_bytes: int, *, compressed: bool) -> bytes:
        """A value that takes `wire_bytes` in the log once its batch is compressed (or not)."""
        body = wire_bytes - OVERHEAD_BYTES
        start = self._rng.randrange(POOL_BYTES - LARGEST_BYTES)
        header = HEADER.pack(MAGIC, mark.sequence, mark.key_sequence)
        if not compressed:
            incompressible = int(body * RANDOM_SHARE)
            return header + self._pool[start : start + incompressible] + _TEXT[: body - incompressible]
        text = int(body * (1 / RANDOM_SHARE - 1))
        return header + self._pool[start : start + body] + _TEXT[:text]


def read_mark(value: bytes | None) -> Mark | None:
    """The mark of a value; None where the demo did not write it."""
    if value is None or len(value) < HEADER.size:
        return None
    magic, sequence, key_sequence = HEADER.unpack_from(value)
    return Mark(sequence=sequence, key_sequence=key_sequence) if magic == MAGIC else None
