"""Resource ids: `<cluster>/broker/1`, `<cluster>/topic/T/3`, `<cluster>/group/G`, ...

A segment percent-encodes `/`, `%` and control characters, so that any Kafka name fits and an id splits one way only.
"""

from __future__ import annotations

from urllib.parse import unquote

_ENCODED = {chr(code): f"%{code:02X}" for code in (*range(0x20), 0x25, 0x2F, 0x7F)}


def encode(segment: str) -> str:
    """One segment with `/`, `%` and control characters percent-encoded."""
    return "".join(_ENCODED.get(character, character) for character in segment)


def resource_id(cluster: str, *names: str | int) -> str:
    """`resource_id("prod", "topic", "orders", 3)` is `prod/topic/orders/3`."""
    return "/".join(encode(str(segment)) for segment in (cluster, *names))


def parts(resource: str) -> tuple[str, ...]:
    """The decoded segments of an id: cluster, kind, names."""
    return tuple(unquote(segment) for segment in resource.split("/"))
