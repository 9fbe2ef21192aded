"""A share group as JSON in the metadata store, so that another coordinator can go on with it.

Version 4: {"version", "epoch", "shapes": {topic: [id, partitions]}}, and for each member a row of its own: {"id",
"client_id", "host", "rack", "names", "epoch", "previous_epoch", "assigned": {id: [indexes]}}. Deadlines are left out:
everyone gets a whole session again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from broker.groups.assignors import Places
from broker.groups.share_group import ShareGroup, ShareMember

VERSION = 4


def is_share(state: str) -> bool:
    """Whether a group that is stored like this is a share group."""
    return bool(json.loads(state)["version"] == VERSION)


def dump(group: ShareGroup) -> dict[str, Any]:
    """The group without its members, to be stored."""
    return {
        "version": VERSION,
        "epoch": group.epoch,
        "shapes": {name: [topic.hex, size] for name, (topic, size) in group.shapes.items()},
    }


def dump_members(group: ShareGroup, members: Iterable[str]) -> dict[str, str | None]:
    """Some of its members, to be stored; None for those that are gone."""
    found = {member_id: group.members.get(member_id) for member_id in members}
    return {name: None if member is None else _dump_member(member) for name, member in found.items()}


def load(
    group_id: str, stored: dict[str, Any], rows: Mapping[str, str | None], *, session_s: float, now: float
) -> ShareGroup:
    """The group, as stored."""
    group = ShareGroup(group_id)
    group.epoch = stored["epoch"]
    group.shapes = {name: (UUID(hex=topic), size) for name, (topic, size) in stored["shapes"].items()}
    for row in rows.values():
        if row is not None:
            member = _load_member(json.loads(row), now + session_s)
            group.members[member.member_id] = member
    group.restored()
    return group


def _dump_member(member: ShareMember) -> str:
    by_topic: dict[str, list[int]] = {}
    for topic, index in sorted(member.assigned):
        by_topic.setdefault(topic.hex, []).append(index)
    fields = {
        "id": member.member_id,
        "client_id": member.client_id,
        "host": member.client_host,
        "rack": member.rack,
        "names": sorted(member.names),
        "epoch": member.epoch,
        "previous_epoch": member.previous_epoch,
        "assigned": by_topic,
    }
    return json.dumps(fields, separators=(",", ":"))


def _load_member(fields: dict[str, Any], deadline: float) -> ShareMember:
    assigned: Places = frozenset(
        (UUID(hex=topic), index) for topic, indexes in fields["assigned"].items() for index in indexes
    )
    return ShareMember(
        member_id=fields["id"],
        client_id=fields["client_id"],
        client_host=fields["host"],
        rack=fields["rack"],
        names=frozenset(fields["names"]),
        epoch=fields["epoch"],
        previous_epoch=fields["previous_epoch"],
        assigned=assigned,
        deadline=deadline,
    )
