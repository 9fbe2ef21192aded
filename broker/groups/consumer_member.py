"""One member of a group of the new protocol, and the way from what it has to what it shall have.

    stable      has its share of the target, at the target's epoch
    unrevoked   must give partitions up first; its epoch stays until it says that it did
    unreleased  waits for partitions that others have not given up yet

Partitions in `assigned` and `revoking` are held: nobody else gets them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from broker.groups.assignors import Place, Places

NOTHING: Places = frozenset()
LEFT, LEFT_FOR_NOW = -1, -2
"""Epochs of goodbyes: for good, and of a static member that will be back."""


class MemberState(StrEnum):
    """As stored."""

    STABLE = "stable"
    UNREVOKED = "unrevoked"
    UNRELEASED = "unreleased"


@dataclass(kw_only=True)
class ConsumerMember:
    """Changed only by its group."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rack: str | None = None
    rebalance_timeout_s: float = 0.0
    names: frozenset[str] = frozenset()
    regex: str = ""
    matched: frozenset[str] = frozenset()
    """What the pattern stood for when it was last looked up."""
    assignor: str | None = None
    """Its vote."""
    epoch: int = 0
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Places = NOTHING
    revoking: Places = NOTHING
    deadline: float = 0.0
    """Monotonic seconds: silent past this, it is out."""
    revoke_deadline: float | None = None
    """Until when it must have given up what it was told to."""
    looked: tuple[int, str] = (-1, "")
    """The version of the metadata, and the pattern, that `matched` is of."""

    @property
    def topics(self) -> frozenset[str]:
        return self.names | self.matched

    @property
    def due(self) -> float:
        """When its time is up."""
        return self.deadline if self.revoke_deadline is None else min(self.deadline, self.revoke_deadline)

    @property
    def told(self) -> tuple[object, ...]:
        """What it says of itself, and what is stored of that."""
        return (
            *(self.client_id, self.client_host, self.rack, self.assignor, self.rebalance_timeout_s),
            *(self.names, self.regex, self.matched),
        )

    def settle(
        self, target: Places, epoch: int, owned: Places | None, is_free: Callable[[Place], bool], now: float
    ) -> bool:
        """One step towards the target; whether anything changed. `owned` is what it says it has, None for no word."""
        if self.state is MemberState.STABLE and self.epoch == epoch:
            return False
        if self.state is MemberState.UNREVOKED and (owned is None or owned & self.revoking):
            return False
        before = (self.epoch, self.state, self.assigned, self.revoking)
        kept, revoking = self.assigned & target, self.assigned - target
        if revoking and (owned is None or owned & revoking):
            self.state, self.assigned, self.revoking = MemberState.UNREVOKED, kept, revoking
            self.revoke_deadline = now + self.rebalance_timeout_s
        else:
            wanted = target - kept
            free = frozenset(place for place in wanted if is_free(place))
            self.state = MemberState.UNRELEASED if free != wanted else MemberState.STABLE
            self.assigned, self.revoking, self.revoke_deadline = kept | free, NOTHING, None
            self._go_to(epoch)
        return before != (self.epoch, self.state, self.assigned, self.revoking)

    def _go_to(self, epoch: int) -> None:
        if self.epoch != epoch:
            self.previous_epoch, self.epoch = self.epoch, epoch
