"""A group of the new protocol as JSON in the metadata store, so that another coordinator can go on with it.

Version 3 (version 1 is a classic group): {"version", "epoch", "target_epoch", "assignor", "shapes": {topic: [id,
partitions]}}, and for each member a row of its own: {"id", ..., "epoch", "previous_epoch", "state", "assigned": {id:
[indexes]}, "revoking", "target"}. A step writes the members that it changed: were they all in one, a thousand that join
would each write a thousand. Version 2 had them in the group, as "members", and is read.
Deadlines are left out: they are monotonic, of one process; everyone gets a whole session again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from broker.groups.assignors import Places
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.consumer_member import NOTHING, ConsumerMember, MemberState

VERSION = 3
WITH_MEMBERS = 2
"""The version that had everything in one."""


def dump(group: ConsumerGroup) -> dict[str, Any]:
    """The group without its members, to be stored."""
    return {
        "version": VERSION,
        "epoch": group.epoch,
        "target_epoch": group.target_epoch,
        "assignor": group.assignor,
        "shapes": {name: [topic.hex, size] for name, (topic, size) in group.shapes.items()},
    }


def dump_members(group: ConsumerGroup, members: Iterable[str]) -> dict[str, str | None]:
    """Some of its members, to be stored; None for those that are gone."""
    found: dict[str, str | None] = {}
    for member_id in members:
        member = group.members.get(member_id)
        found[member_id] = None if member is None else _line(_dump_member(member, group.target.get(member_id, NOTHING)))
    return found


def load(
    group_id: str, stored: dict[str, Any], rows: Mapping[str, str | None], *, session_s: float, now: float
) -> ConsumerGroup:
    """The group, as stored."""
    group = ConsumerGroup(group_id)
    group.epoch, group.target_epoch = stored["epoch"], stored["target_epoch"]
    group.assignor = stored["assignor"]
    group.shapes = {name: (UUID(hex=topic), size) for name, (topic, size) in stored["shapes"].items()}
    if stored["version"] == WITH_MEMBERS:
        members = stored["members"]
    else:
        members = [json.loads(row) for row in rows.values() if row is not None]
    for fields in members:
        member = _load_member(fields, session_s, now)
        group.members[member.member_id] = member
        group.target[member.member_id] = _places(fields["target"])
    group.restored(is_whole=stored["version"] == VERSION)
    return group


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def _dump_member(member: ConsumerMember, target: Places) -> dict[str, Any]:
    return {
        "id": member.member_id,
        "instance": member.instance_id,
        "client_id": member.client_id,
        "host": member.client_host,
        "rack": member.rack,
        "rebalance_s": member.rebalance_timeout_s,
        "names": sorted(member.names),
        "regex": member.regex,
        "matched": sorted(member.matched),
        "assignor": member.assignor,
        "epoch": member.epoch,
        "previous_epoch": member.previous_epoch,
        "state": member.state.value,
        "assigned": _by_topic(member.assigned),
        "revoking": _by_topic(member.revoking),
        "target": _by_topic(target),
    }


def _load_member(fields: dict[str, Any], session_s: float, now: float) -> ConsumerMember:
    state = MemberState(fields["state"])
    return ConsumerMember(
        member_id=fields["id"],
        instance_id=fields["instance"],
        client_id=fields["client_id"],
        client_host=fields["host"],
        rack=fields["rack"],
        rebalance_timeout_s=fields["rebalance_s"],
        names=frozenset(fields["names"]),
        regex=fields["regex"],
        matched=frozenset(fields["matched"]),
        assignor=fields["assignor"],
        epoch=fields["epoch"],
        previous_epoch=fields["previous_epoch"],
        state=state,
        assigned=_places(fields["assigned"]),
        revoking=_places(fields["revoking"]),
        deadline=now + session_s,
        revoke_deadline=now + fields["rebalance_s"] if state is MemberState.UNREVOKED else None,
    )


def _by_topic(places: Places) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for topic, index in sorted(places):
        found.setdefault(topic.hex, []).append(index)
    return found


def _places(by_topic: dict[str, list[int]]) -> Places:
    return frozenset((UUID(hex=topic), index) for topic, indexes in by_topic.items() for index in indexes)
