"""A group as JSON in the metadata store, so that another coordinator, or the same one restarted, can go on with it.

Version 1: {"version", "state", "generation", "protocol_type", "protocol", "leader", "members": [{"id", "instance",
"client_id", "host", "session_s", "rebalance_s", "protocols": [[name, base64]], "assignment": base64, "synced"}]}.
Deadlines are left out: they are monotonic, of one process; everyone gets a whole session again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from broker.groups.group import Group
from broker.groups.member import Member
from broker.groups.state import GroupState

VERSION = 1


def dump(group: Group) -> dict[str, Any]:
    """The group, to be stored."""
    return {
        "version": VERSION,
        "state": group.state.value,
        "generation": group.generation,
        "protocol_type": group.protocol_type,
        "protocol": group.protocol,
        "leader": group.leader,
        "members": [_dump_member(member) for member in group.members.values()],
    }


def load(group_id: str, stored: dict[str, Any], *, initial_delay_s: float, now: float) -> Group:
    """The group, as stored; requests that were parked are gone, and their senders ask again."""
    group = Group(group_id, initial_delay_s=initial_delay_s)
    group.state = GroupState(stored["state"])
    group.generation = stored["generation"]
    group.protocol_type, group.protocol = stored["protocol_type"], stored["protocol"]
    group.leader = stored["leader"]
    group.members = {fields["id"]: _load_member(fields, now) for fields in stored["members"]}
    longest = max((member.rebalance_timeout_s for member in group.members.values()), default=0.0)
    group.join_deadline = group.sync_deadline = now + longest
    return group


def _dump_member(member: Member) -> dict[str, object]:
    return {
        "id": member.member_id,
        "instance": member.instance_id,
        "client_id": member.client_id,
        "host": member.client_host,
        "session_s": member.session_timeout_s,
        "rebalance_s": member.rebalance_timeout_s,
        "protocols": [[name, b64encode(metadata).decode()] for name, metadata in member.protocols],
        "assignment": b64encode(member.assignment).decode(),
        "synced": member.synced,
    }


def _load_member(fields: dict[str, Any], now: float) -> Member:
    return Member(
        member_id=fields["id"],
        instance_id=fields["instance"],
        client_id=fields["client_id"],
        client_host=fields["host"],
        session_timeout_s=fields["session_s"],
        rebalance_timeout_s=fields["rebalance_s"],
        protocols=tuple((name, b64decode(metadata)) for name, metadata in fields["protocols"]),
        deadline=now + fields["session_s"],
        assignment=b64decode(fields["assignment"]),
        synced=fields["synced"],
    )
