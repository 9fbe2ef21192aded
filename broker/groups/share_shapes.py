"""What goes into a share group and what comes out of it, whatever the version on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from broker.groups.assignors import Places


class ShareGroupState(StrEnum):
    """Kafka's names."""

    EMPTY = "Empty"
    STABLE = "Stable"


@dataclass(frozen=True, kw_only=True)
class ShareBeat:
    """One ShareGroupHeartbeat. None: as it was said before."""

    group_id: str
    member_id: str
    epoch: int
    """0 joins, -1 leaves."""
    rack: str | None
    client_id: str
    client_host: str
    names: frozenset[str] | None


@dataclass(frozen=True, kw_only=True)
class ShareBeatAnswer:
    """What a member is told."""

    member_id: str
    epoch: int
    heartbeat_ms: int
    assignment: Places | None
    """None: as it was."""


@dataclass(frozen=True, kw_only=True)
class ShareMemberView:
    """A member, as ShareGroupDescribe shows it."""

    member_id: str
    rack: str | None
    epoch: int
    client_id: str
    client_host: str
    names: tuple[str, ...]
    assigned: Places


@dataclass(frozen=True, kw_only=True)
class ShareGroupView:
    """A group, as ShareGroupDescribe shows it."""

    group_id: str
    state: ShareGroupState
    epoch: int
    assignor: str
    members: tuple[ShareMemberView, ...]

    @property
    def target_epoch(self) -> int:
        """Of the newest assignment: the group's own, for a share is made whenever it is asked for."""
        return self.epoch
