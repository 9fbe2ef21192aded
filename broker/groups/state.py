"""The states of a classic group, as a table: which may follow which.

Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ...
any   -> Dead (deleted)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class GroupState(StrEnum):
    """Kafka's names, as DescribeGroups and ListGroups show them."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


FOLLOWS: Mapping[GroupState, frozenset[GroupState]] = {
    GroupState.EMPTY: frozenset({GroupState.PREPARING, GroupState.DEAD}),
    GroupState.PREPARING: frozenset({GroupState.COMPLETING, GroupState.EMPTY, GroupState.DEAD}),
    GroupState.COMPLETING: frozenset({GroupState.STABLE, GroupState.PREPARING, GroupState.DEAD}),
    GroupState.STABLE: frozenset({GroupState.PREPARING, GroupState.DEAD}),
    GroupState.DEAD: frozenset(),
}
"""What may come after each state."""


def check_step(before: GroupState, after: GroupState) -> GroupState:
    """Returns `after`, or raises ValueError where the table has no such step: a fault of ours, never of a client."""
    if after not in FOLLOWS[before]:
        raise ValueError(f"a group cannot go from {before} to {after}")
    return after
