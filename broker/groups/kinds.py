"""Both kinds of groups, classic and of the new protocol, where the difference does not matter."""

from __future__ import annotations

import json

from broker.errors import KafkaError
from broker.groups import consumer_stored, membership, stored
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.group import Group
from broker.groups.settings import GroupSettings

AnyGroup = Group | ConsumerGroup


def due(group: AnyGroup) -> float | None:
    """The monotonic second of the next `tick` that can change something; None when only requests can."""
    return group.due() if isinstance(group, ConsumerGroup) else membership.due(group)


def tick(group: AnyGroup, now: float) -> None:
    """Time has passed."""
    if isinstance(group, ConsumerGroup):
        group.tick(now)
    else:
        membership.tick(group, now)


def postpone(group: AnyGroup, seconds: float) -> None:
    """Gives everyone back the time in which this process was stopped (law 11)."""
    if isinstance(group, ConsumerGroup):
        group.postpone(seconds)
    else:
        membership.postpone(group, seconds)


def abandon(group: AnyGroup, error: KafkaError) -> None:
    """Answers every parked request with `error`: another coordinator goes on with the group."""
    if isinstance(group, Group):
        membership.abandon(group, error)


def dump(group: AnyGroup, emptied_ms: int | None) -> str:
    """The group as it is stored, with the wall-clock time since when it has been empty."""
    fields = consumer_stored.dump(group) if isinstance(group, ConsumerGroup) else stored.dump(group)
    if emptied_ms is not None:
        fields["emptied_ms"] = emptied_ms
    return json.dumps(fields, separators=(",", ":"))


def load(group_id: str, text: str, settings: GroupSettings, now: float) -> tuple[AnyGroup, int | None]:
    """The group, and since when it has been empty. ValueError for a version that a newer broker wrote."""
    fields = json.loads(text)
    emptied_ms: int | None = fields.get("emptied_ms")
    match fields["version"]:
        case stored.VERSION:
            return stored.load(group_id, fields, initial_delay_s=settings.initial_delay_s, now=now), emptied_ms
        case consumer_stored.VERSION:
            session_s = settings.consumer_session_s
            return consumer_stored.load(group_id, fields, session_s=session_s, now=now), emptied_ms
        case newer:
            raise ValueError(f"group {group_id} is stored in version {newer}; this broker reads 1 and 2")
