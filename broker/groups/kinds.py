"""All kinds of groups, classic, of the new protocol and share groups, where the difference does not matter."""

from __future__ import annotations

import json

from broker.errors import KafkaError
from broker.groups import consumer_stored, membership, share_stored, stored
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.group import Group
from broker.groups.settings import GroupSettings
from broker.groups.share_group import ShareGroup
from broker.metadata.rows import GroupRow

AnyGroup = Group | ConsumerGroup | ShareGroup


def due(group: AnyGroup) -> float | None:
    """The monotonic second of the next `tick` that can change something; None when only requests can."""
    return membership.due(group) if isinstance(group, Group) else group.due()


def tick(group: AnyGroup, now: float) -> None:
    """Time has passed."""
    if isinstance(group, Group):
        membership.tick(group, now)
    else:
        group.tick(now)


def postpone(group: AnyGroup, seconds: float) -> None:
    """Gives everyone back the time in which this process was stopped (law 11)."""
    if isinstance(group, Group):
        membership.postpone(group, seconds)
    else:
        group.postpone(seconds)


def abandon(group: AnyGroup, error: KafkaError) -> None:
    """Answers every parked request with `error`: another coordinator goes on with the group."""
    if isinstance(group, Group):
        membership.abandon(group, error)


def dump(group: AnyGroup, coordinator_uid: int, emptied_ms: int | None) -> GroupRow:
    """What is to be stored of the group after its last steps, with the wall-clock time since when it has been empty."""
    members: dict[str, str | None] = {}
    is_whole = True
    if isinstance(group, ConsumerGroup):
        fields = consumer_stored.dump(group)
        is_whole, touched = group.unsaved()
        members = consumer_stored.dump_members(group, touched)
    elif isinstance(group, ShareGroup):
        fields = share_stored.dump(group)
        is_whole, touched = group.unsaved()
        members = share_stored.dump_members(group, touched)
    else:
        fields = stored.dump(group)
    if emptied_ms is not None:
        fields["emptied_ms"] = emptied_ms
    state = json.dumps(fields, separators=(",", ":"))
    return GroupRow(
        group_id=group.group_id, coordinator_uid=coordinator_uid, state=state, members=members, is_whole=is_whole
    )


def load(row: GroupRow, settings: GroupSettings, now: float) -> tuple[AnyGroup, int | None]:
    """The group, and since when it has been empty. ValueError for a version that a newer broker wrote."""
    group_id, fields = row.group_id, json.loads(row.state)
    emptied_ms: int | None = fields.get("emptied_ms")
    match fields["version"]:
        case stored.VERSION:
            return stored.load(group_id, fields, initial_delay_s=settings.initial_delay_s, now=now), emptied_ms
        case consumer_stored.VERSION | consumer_stored.WITH_MEMBERS:
            session_s = settings.consumer_session_s
            return consumer_stored.load(group_id, fields, row.members, session_s=session_s, now=now), emptied_ms
        case share_stored.VERSION:
            session_s = settings.share.session_ms / 1000
            return share_stored.load(group_id, fields, row.members, session_s=session_s, now=now), emptied_ms
        case newer:
            raise ValueError(f"group {group_id} is stored in version {newer}; this broker reads 1 to 4")
