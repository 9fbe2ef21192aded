"""Any answer as the wire has it."""

from __future__ import annotations

from broker.api.registry import Chunks
from broker.wire.cursor import I32


def framed(header: bytes, body: Chunks) -> Chunks:
    """A whole answer: length, header, body. Small pieces at the front are joined, so that one packet carries them."""
    size = len(header) + sum(len(chunk) for chunk in body)
    front = bytearray(I32.pack(size) + header)
    if body:
        front += body[0]
    return [front, *body[1:]]
