"""Bytes made wrong: what a broken client, a broken network or a stranger may send instead of a request."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

_WORDS = (
    *(struct.pack(">i", number) for number in (0, -1, 1, 2**31 - 1, -(2**31), 100 << 20, 0x7FFF0000)),
    *(b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\x80" * 5, b"\x7f\xff", b"\xff\xff"),
)
"""Lengths and counts that lie: 32 bits, varints (some without end, some negative), 16 bits."""


def flip(rng: random.Random, frame: bytes) -> bytes:
    """Some bytes are others."""
    data = bytearray(frame)
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(4, len(data))] = rng.randrange(256)
    return bytes(data)


def lie(rng: random.Random, frame: bytes) -> bytes:
    """A length, a count or a varint somewhere is extreme."""
    word, at = rng.choice(_WORDS), rng.randrange(8, len(frame))
    return frame[:at] + word + frame[at + len(word) * rng.randint(0, 1) :]


def cut(rng: random.Random, frame: bytes) -> bytes:
    """The frame ends early, and says so in its length."""
    return frame[: rng.randrange(len(frame))]


def grow(rng: random.Random, frame: bytes) -> bytes:
    """Bytes too many, somewhere."""
    at = rng.randrange(4, len(frame))
    return frame[:at] + rng.randbytes(rng.choice((1, 2, 8, 500))) + frame[at:]


def repeat(rng: random.Random, frame: bytes) -> bytes:
    """A part of the frame stands there many times."""
    at = rng.randrange(8, len(frame))
    part = frame[at : at + rng.randint(1, 64)]
    return frame[:at] + part * rng.choice((2, 20, 400)) + frame[at:]


def of_another(rng: random.Random, frame: bytes) -> bytes:
    """The body of this API under the key or the version of another."""
    key, version = struct.unpack_from(">hh", frame)
    if rng.random() < 0.5:
        key = rng.choice((-1, 1000, 32767, -32768, rng.randrange(90)))
    else:
        version = rng.choice((-1, 127, 32767, -32768, rng.randrange(20)))
    return struct.pack(">hh", key, version) + frame[4:]


MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (flip, flip, lie, lie, cut, grow, repeat, of_another)

BAD_LENGTHS: tuple[tuple[str, bytes], ...] = (
    ("a length of 0", struct.pack(">i", 0)),
    ("a length of -1", struct.pack(">i", -1)),
    ("the least length there is", struct.pack(">i", -(2**31))),
    ("2^31-1 bytes declared", struct.pack(">i", 2**31 - 1)),
    ("100 MiB declared and 4 bytes sent", struct.pack(">i", 100 << 20) + b"\0\x12\0\0"),
    ("a request of HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n"),
    ("the hello of TLS", bytes.fromhex("16030100c8010000c40303") + bytes(200)),
)
"""What stands where a frame's length should."""
