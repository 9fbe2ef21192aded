"""What goes into a group of the new protocol and what comes out of it, whatever the version on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from broker.groups.assignors import Places


class ConsumerGroupState(StrEnum):
    """Kafka's names."""

    EMPTY = "Empty"
    ASSIGNING = "Assigning"
    RECONCILING = "Reconciling"
    STABLE = "Stable"


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """One ConsumerGroupHeartbeat. None: as it was said before."""

    group_id: str
    member_id: str
    """Empty: the member has no id yet."""
    epoch: int
    """0 joins, -1 leaves, -2 leaves as a static member that will be back."""
    instance_id: str | None
    rack: str | None
    client_id: str
    client_host: str
    rebalance_timeout_s: float | None
    names: frozenset[str] | None
    regex: str | None
    assignor: str | None
    owned: Places | None
    may_see: Callable[[str], bool]
    """Whether a pattern of this member may stand for a topic of that name."""

    @property
    def is_whole(self) -> bool:
        """It says everything, so everything is answered."""
        told = self.names is not None or self.regex is not None
        return told and self.owned is not None and self.rebalance_timeout_s is not None


@dataclass(frozen=True, kw_only=True)
class BeatAnswer:
    """What a member is told."""

    member_id: str
    epoch: int
    heartbeat_s: float
    assignment: Places | None
    """None: as it was."""


@dataclass(frozen=True, kw_only=True)
class ConsumerMemberView:
    """A member, as ConsumerGroupDescribe shows it."""

    member_id: str
    instance_id: str | None
    rack: str | None
    epoch: int
    client_id: str
    client_host: str
    names: tuple[str, ...]
    regex: str
    assigned: Places
    target: Places


@dataclass(frozen=True, kw_only=True)
class ConsumerGroupView:
    """A group, as ConsumerGroupDescribe shows it."""

    group_id: str
    state: ConsumerGroupState
    epoch: int
    target_epoch: int
    assignor: str
    members: tuple[ConsumerMemberView, ...]
