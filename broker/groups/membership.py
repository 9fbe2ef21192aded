"""Who is in a group: joining, leaving, and being silent for too long. Pure, as `group.py` is."""

from __future__ import annotations

from broker.errors import (
    FencedInstanceId,
    GroupMaxSizeReached,
    InconsistentGroupProtocol,
    KafkaError,
    MemberIdRequired,
    UnknownMemberId,
)
from broker.groups.group import Group
from broker.groups.member import Member
from broker.groups.shapes import JoinRequest
from broker.groups.state import GroupState


def join(group: Group, request: JoinRequest, ticket: int, now: float, *, new_id: str, max_size: int) -> None:
    """A member wants to be in the next generation. Raises, or leaves an answer now or when the rebalance ends.

    `new_id` is used if the member has none. MemberIdRequired carries it: the member comes back with it.
    """
    if not group.supports(request.protocol_type, request.protocols):
        raise InconsistentGroupProtocol(f"group {group.group_id} uses {group.protocol_type}, and other assignors")
    if not request.member_id and request.instance_id is not None:
        _join_static(group, request, ticket, now, new_id=new_id, max_size=max_size)
    elif not request.member_id:
        _check_size(group, max_size)
        if request.requires_known_id:
            group.pending[new_id] = now + request.session_timeout_s
            raise MemberIdRequired(new_id)
        _add(group, request, new_id, ticket, now)
    elif request.member_id in group.pending:
        del group.pending[request.member_id]
        _add(group, request, request.member_id, ticket, now)
    else:
        _join_again(group, group.known(request.member_id, request.instance_id), request, ticket, now)


def leave(group: Group, member_id: str, instance_id: str | None, now: float) -> str:
    """A member goes; its id is returned. A static one may be named by its instance id alone, by an administrator."""
    if instance_id is not None:
        holder = group.holder(instance_id)
        if holder is None:
            raise UnknownMemberId(f"{instance_id} is not in group {group.group_id}")
        if member_id and holder.member_id != member_id:
            raise FencedInstanceId(f"{instance_id} of group {group.group_id} is now {holder.member_id}")
        member_id = holder.member_id
    if group.pending.pop(member_id, None) is not None:
        group.try_complete(now)
        return member_id
    if member_id not in group.members:
        raise UnknownMemberId(f"{member_id or 'a member without id'} is not in group {group.group_id}")
    _remove(group, [group.members[member_id]], now)
    return member_id


def tick(group: Group, now: float) -> None:
    """Time has passed: sessions end, given ids lapse, rebalances stop waiting."""
    lapsed = [member_id for member_id, deadline in group.pending.items() if now >= deadline]
    for member_id in lapsed:
        del group.pending[member_id]
    silent = [m for m in group.members.values() if now >= m.deadline and not m.parked()]
    if group.state in (GroupState.COMPLETING, GroupState.STABLE) and now >= group.sync_deadline:
        silent += [m for m in group.members.values() if not m.synced and m not in silent]
    if silent:
        _remove(group, silent, now)
    group.try_complete(now)


def due(group: Group) -> float | None:
    """The monotonic second of the next `tick` that can change something; None when only requests can."""
    moments = list(group.pending.values())
    moments += [member.deadline for member in group.members.values() if not member.parked()]
    if group.state is GroupState.PREPARING:
        moments.append(group.join_deadline)
    if group.state in (GroupState.COMPLETING, GroupState.STABLE) and not all(m.synced for m in group.members.values()):
        moments.append(group.sync_deadline)
    return min(moments, default=None)


def postpone(group: Group, seconds: float) -> None:
    """Gives everyone back the time in which this process was stopped and could not have heard them (law 11)."""
    for member in group.members.values():
        member.deadline += seconds
    group.pending = {member_id: deadline + seconds for member_id, deadline in group.pending.items()}
    group.join_deadline += seconds
    group.sync_deadline += seconds


def abandon(group: Group, error: KafkaError) -> None:
    """Answers every parked request with `error`: another coordinator goes on with the group."""
    for member in group.members.values():
        tickets = [ticket for ticket in (member.joining, member.syncing) if ticket is not None]
        member.joining = member.syncing = None
        for ticket in tickets:
            group.answer(ticket, error)


def _join_static(group: Group, request: JoinRequest, ticket: int, now: float, *, new_id: str, max_size: int) -> None:
    """A static member starts or comes back. Coming back to a stable group with the same wishes costs no rebalance."""
    old = group.holder(request.instance_id or "")
    if old is None:
        _check_size(group, max_size)
        _add(group, request, new_id, ticket, now)
        return
    same = old.protocols == request.protocols
    led = group.leader == old.member_id
    _fence(group, old, f"{old.instance_id} is now {new_id}")
    fresh = Member.of(request, new_id, now)
    fresh.assignment, fresh.synced = old.assignment, old.synced
    group.members = {m.member_id: m for m in (fresh if m is old else m for m in group.members.values())}
    if led:
        group.leader = new_id
    group.must_store()
    if group.state is GroupState.STABLE and same:
        skip = led and request.may_skip_assignment
        shown = old.member_id if led and not skip else None
        group.answer(ticket, group.join_answer(fresh, leader=shown, skip=skip))
        return
    fresh.joining = ticket
    _rebalance(group, now)


def _join_again(group: Group, member: Member, request: JoinRequest, ticket: int, now: float) -> None:
    """A known member joins: a repeated question gets the current generation, a new wish starts the next one."""
    same = member.protocols == request.protocols
    led = member.member_id == group.leader
    if (group.state is GroupState.COMPLETING and same) or (group.state is GroupState.STABLE and same and not led):
        member.touch(now)
        group.answer(ticket, group.join_answer(member))
        return
    if member.joining is not None:
        group.answer(member.joining, UnknownMemberId("a later JoinGroup of the same member took its place"))
    member.update(request)
    member.touch(now)
    member.joining = ticket
    _rebalance(group, now)


def _add(group: Group, request: JoinRequest, member_id: str, ticket: int, now: float) -> None:
    """A new member, parked until the rebalance that it causes is over."""
    if not group.members:
        group.protocol_type = request.protocol_type
    member = Member.of(request, member_id, now)
    member.joining = ticket
    group.members[member_id] = member
    if group.leader is None:
        group.leader = member_id
    group.newcomer = True
    _rebalance(group, now)


def _rebalance(group: Group, now: float) -> None:
    if group.state is GroupState.PREPARING:
        group.try_complete(now)
    else:
        group.prepare(now)


def _remove(group: Group, members: list[Member], now: float) -> None:
    """They are out: what they had parked is refused, and the others share anew."""
    for member in members:
        _fence(group, member, "")
        del group.members[member.member_id]
        if group.leader == member.member_id:
            group.leader = next(iter(group.members), None)
    _rebalance(group, now)


def _fence(group: Group, member: Member, successor: str) -> None:
    error = FencedInstanceId(successor) if successor else UnknownMemberId(f"{member.member_id} left or was silent")
    for ticket in (member.joining, member.syncing):
        if ticket is not None:
            group.answer(ticket, error)
    member.joining = member.syncing = None


def _check_size(group: Group, max_size: int) -> None:
    if len(group.members) + len(group.pending) >= max_size:
        raise GroupMaxSizeReached(f"group {group.group_id} has {max_size} members: see group.max.size")
