"""Which broker a consumer had better read from (KIP-392): one of its own zone, when this leader is in another.

Only at the tail: what is older comes from objects, which every zone reads alike. A reader that came back from there is
served here for a while, so that nobody is sent to and fro.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.metadata.image import Image, Topic

STAY_S = 30.0
_MOST_REMEMBERED = 10_000


def nearer(context: Context, topic: Topic, log: Any, rack: str, offset: int) -> int | None:
    """The broker, or None: stay."""
    if rack == context.config.zone or context.config.zone is None or not log.is_at_tail(offset):
        return None
    image: Image = context.metadata.image
    listener = context.connection.listener
    replicas: tuple[int, ...] = topic.partitions[log.index].replicas
    for broker_id in replicas:
        broker = image.brokers.get(broker_id)
        if broker is None or not broker.alive or broker.zone != rack or broker_id == context.config.broker_id:
            continue
        if listener in broker.listeners and broker.peer_address is not None and _first_time(context, topic.id, log):
            return broker_id
    return None


def _first_time(context: Context, topic_id: UUID, log: Any) -> bool:
    """Whether this connection was not sent away from this partition just now."""
    sent, now = context.connection.sent_near, context.clock.monotonic()
    if now - sent.get((topic_id, log.index), -STAY_S) < STAY_S:
        return False
    if len(sent) >= _MOST_REMEMBERED:
        sent.clear()
    sent[topic_id, log.index] = now
    return True
