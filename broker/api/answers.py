"""Any answer as the wire has it."""

from __future__ import annotations

import struct

from broker.api.registry import Chunks

_FRONT = struct.Struct(">ii")
_FLEXIBLE_FRONT = struct.Struct(">iiB")
"""Length, correlation id, and for flexible versions no tagged fields."""
_LENGTH_BYTES = 4


def framed(correlation_id: int, body: Chunks, *, flexible: bool) -> Chunks:
    """A whole answer: length, header, body. Small pieces at the front are joined, so that one packet carries them."""
    size = sum([len(chunk) for chunk in body]) - _LENGTH_BYTES
    if flexible:
        front = _FLEXIBLE_FRONT.pack(size + _FLEXIBLE_FRONT.size, correlation_id, 0)
    else:
        front = _FRONT.pack(size + _FRONT.size, correlation_id)
    return [front + body[0], *body[1:]] if body else [front]
