"""What a classic consumer tells its leader: Kafka's ConsumerProtocolSubscription, as far as a coordinator cares.

int16 version | [string] topics | nullable bytes | from version 1 on more, which is not read here
"""

from __future__ import annotations

from broker.errors import MalformedFrame
from broker.wire.cursor import Cursor

PROTOCOL_TYPE = "consumer"
"""The protocol type of groups whose subscriptions have this shape; Connect's and others' are their own."""


def topics_of(subscription: bytes) -> frozenset[str] | None:
    """The topics; None where the bytes are something else. They come from a client, so nothing is taken for granted."""
    cursor = Cursor(memoryview(subscription))
    try:
        cursor.int16()
        return frozenset(cursor.string() for _ in range(cursor.count(2)))
    except MalformedFrame:
        return None
