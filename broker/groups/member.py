"""One member of a group, and the votes of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from broker.groups.shapes import JoinRequest, MemberView


@dataclass(kw_only=True)
class Member:
    """A member, its subscription and its parked requests. Changed only by its `Group`."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_s: float
    rebalance_timeout_s: float
    protocols: tuple[tuple[str, bytes], ...]
    deadline: float
    """Monotonic seconds: silent past this, it is out, unless one of its requests is parked with us."""
    assignment: bytes = b""
    joining: int | None = None
    """Ticket of its parked JoinGroup."""
    syncing: int | None = None
    """Ticket of its parked SyncGroup."""
    synced: bool = field(default=True)
    """It has asked for its share of this generation."""

    @classmethod
    def of(cls, request: JoinRequest, member_id: str, now: float) -> Member:
        """A member as its first JoinGroup describes it."""
        return cls(
            member_id=member_id,
            instance_id=request.instance_id,
            client_id=request.client_id,
            client_host=request.client_host,
            session_timeout_s=request.session_timeout_s,
            rebalance_timeout_s=request.rebalance_timeout_s,
            protocols=request.protocols,
            deadline=now + request.session_timeout_s,
        )

    def update(self, request: JoinRequest) -> None:
        """Takes what a later JoinGroup says."""
        self.client_id, self.client_host = request.client_id, request.client_host
        self.session_timeout_s, self.rebalance_timeout_s = request.session_timeout_s, request.rebalance_timeout_s
        self.protocols = request.protocols

    def touch(self, now: float) -> None:
        """It was heard from: its session starts again."""
        self.deadline = now + self.session_timeout_s

    def parked(self) -> bool:
        """Whether it waits for us, so that silence is no sign of death."""
        return self.joining is not None or self.syncing is not None

    def subscription(self, protocol: str | None) -> bytes:
        """What it asks of the chosen assignor; empty while none is chosen."""
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")

    def view(self, protocol: str | None) -> MemberView:
        """How DescribeGroups shows it."""
        return MemberView(
            member_id=self.member_id,
            instance_id=self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            subscription=self.subscription(protocol),
            assignment=self.assignment,
        )


def common_protocols(members: Collection[Member]) -> set[str]:
    """The assignors that every member knows."""
    known = [{name for name, _ in member.protocols} for member in members]
    return set.intersection(*known) if known else set()


def elect_protocol(members: Collection[Member]) -> str:
    """The assignor most members prefer among those that all know; of two equals, the first voted for."""
    candidates = common_protocols(members)
    votes = Counter(next(name for name, _ in member.protocols if name in candidates) for member in members)
    return votes.most_common(1)[0][0]
