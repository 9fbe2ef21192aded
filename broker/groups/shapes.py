"""What goes into a group and what comes out of it, whatever the version on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from broker.errors import KafkaError

Shapes = dict[str, tuple[UUID, int]]
"""Topic to its id and its number of partitions."""


@dataclass(frozen=True, kw_only=True)
class JoinRequest:
    """One member's wish to be in the next generation."""

    group_id: str
    member_id: str
    """Empty: the member has no id yet."""
    instance_id: str | None
    """Static membership: the same instance may come back under another member id without a rebalance."""
    client_id: str
    client_host: str
    session_timeout_s: float
    rebalance_timeout_s: float
    protocol_type: str
    protocols: tuple[tuple[str, bytes], ...]
    """(assignor, subscription), the preferred one first."""
    requires_known_id: bool
    """From version 4 on: a new member first gets an id, and joins with it, so that a lost answer leaves no ghost."""
    may_skip_assignment: bool
    """From version 9 on: a returning static leader can be told to leave the assignment as it is."""


@dataclass(frozen=True, kw_only=True)
class JoinAnswer:
    """A member's place in a generation."""

    generation: int
    protocol_type: str | None
    protocol: str | None
    leader: str
    member_id: str
    members: tuple[tuple[str, str | None, bytes], ...]
    """(member id, instance id, subscription) of everyone, for the leader only."""
    skip_assignment: bool = False


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """A member asks for its share; the leader brings everyone's."""

    group_id: str
    generation: int
    member_id: str
    instance_id: str | None
    protocol_type: str | None
    protocol: str | None
    assignments: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, kw_only=True)
class SyncAnswer:
    """A member's share."""

    protocol_type: str | None
    protocol: str | None
    assignment: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a parked request gets."""

    ticket: int
    """The number under which the coordinator parked it."""
    result: JoinAnswer | SyncAnswer | KafkaError


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What a step asks of the one who made it: store first, then answer."""

    answers: Sequence[Answer]
    store: bool
    """The group changed in a way that an answer relies on: it must be durable before any answer leaves."""


@dataclass(frozen=True, kw_only=True)
class MemberView:
    """A member, as DescribeGroups shows it."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    subscription: bytes
    assignment: bytes


@dataclass(frozen=True, kw_only=True)
class GroupView:
    """A group, as DescribeGroups and ListGroups show it."""

    group_id: str
    state: StrEnum
    """By Kafka's names: `GroupState`, `ConsumerGroupState` or `ShareGroupState`."""
    protocol_type: str
    protocol: str
    """Empty unless a generation has chosen one."""
    members: tuple[MemberView, ...]
    kind: str = "classic"
    """Kafka's group type: classic, consumer, or share."""


@dataclass(frozen=True, kw_only=True)
class CommitRequest:
    """Who commits offsets."""

    group_id: str
    member_id: str
    """Empty, with generation -1: somebody who assigns partitions to itself."""
    instance_id: str | None
    generation: int
