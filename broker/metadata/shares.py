"""What share groups have done with partitions (KIP-932): a row for each group and partition, in the hands of the
partition's leader.

1. A leader writes only while it leads, under its epoch, and only what it took from the row as it is: whoever changes
   the row otherwise gives it a new `state_epoch`.
2. A row is made for a share group that exists, and goes with it, or with its topic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from broker.errors import FencedStateEpoch, GroupIdNotFound, KafkaError, NotLeaderOrFollower
from broker.metadata.database import Tx
from broker.metadata.groups import OffsetKey, check_coordinator
from broker.metadata.rows import Coordinator

NO_STATES = "[]"


@dataclass(frozen=True, kw_only=True)
class ShareRow:
    """One group's way through one partition."""

    start: int
    """Everything below was dealt with."""
    state_epoch: int
    leader_epoch: int
    states: str
    """JSON of the records beyond `start`, owned by shares/."""


@dataclass(frozen=True, kw_only=True)
class ShareWrite:
    """A leader's word on one of them."""

    group_id: str
    key: OffsetKey
    leader: Coordinator
    row: ShareRow


def find(tx: Tx, group_id: str, key: OffsetKey) -> ShareRow | None:
    found = tx.one(
        "SELECT start, state_epoch, leader_epoch, states FROM share_partitions"
        " WHERE group_id = ? AND topic_id = ? AND partition = ?",
        *(group_id, key[0].bytes, key[1]),
    )
    return None if found is None else _row(found)


def rows(tx: Tx, group_id: str) -> dict[OffsetKey, ShareRow]:
    """Every partition of a group."""
    found = tx.all(
        "SELECT topic_id, partition, start, state_epoch, leader_epoch, states FROM share_partitions WHERE group_id = ?",
        group_id,
    )
    return {(UUID(bytes=bytes(topic)), index): _row(rest) for topic, index, *rest in found}


def _row(values: Sequence[Any]) -> ShareRow:
    start, state_epoch, leader_epoch, states = values
    return ShareRow(start=start, state_epoch=state_epoch, leader_epoch=leader_epoch, states=states)


def begin(tx: Tx, write: ShareWrite, is_share: Callable[[str], bool]) -> ShareRow:
    """Makes the row, unless it is there; what holds then. GroupIdNotFound unless the group's state `is_share`."""
    _check_leader(_leaders(tx, [write]), write)
    group = tx.one("SELECT state FROM groups WHERE group_id = ?", write.group_id)
    if group is None or not is_share(group[0]):
        raise GroupIdNotFound(f"there is no share group {write.group_id}: its members join it first")
    there = find(tx, write.group_id, write.key)
    if there is not None:
        return there
    row = write.row
    tx.run(
        "INSERT INTO share_partitions(group_id, topic_id, partition, start, state_epoch, leader_epoch, states)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(write.group_id, write.key[0].bytes, write.key[1], row.start, row.state_epoch, row.leader_epoch, row.states),
    )
    return row


def save(tx: Tx, writes: Sequence[ShareWrite]) -> list[KafkaError | None]:
    """What leaders say at this moment; per write, why it was refused. Of several on one row the last one stands."""
    leaders = _leaders(tx, writes)
    refusals: list[KafkaError | None] = []
    values: dict[tuple[str, bytes, int], tuple[int, int, str, int]] = {}
    for write in writes:
        try:
            _check_leader(leaders, write)
            there = find(tx, write.group_id, write.key)
            if there is None or there.state_epoch != write.row.state_epoch:
                raise FencedStateEpoch(f"group {write.group_id} was given another start: fetch again")
        except KafkaError as error:
            refusals.append(error)
            continue
        row = write.row
        values[write.group_id, write.key[0].bytes, write.key[1]] = (
            *(row.start, row.leader_epoch, row.states),
            row.state_epoch,
        )
        refusals.append(None)
    tx.many(
        "UPDATE share_partitions SET start = ?, leader_epoch = ?, states = ?"
        " WHERE group_id = ? AND topic_id = ? AND partition = ? AND state_epoch = ?",
        [(*told, *key, epoch) for key, (*told, epoch) in values.items()],
    )
    return refusals


def alter(tx: Tx, group_id: str, starts: Mapping[OffsetKey, int], coordinator: Coordinator, now_ms: int) -> None:
    """An administrator's starts: nothing that was delivered counts any more. What leaders hold is void."""
    check_coordinator(tx, coordinator)
    for (topic, index), start in starts.items():
        there = find(tx, group_id, (topic, index))
        epoch = now_ms if there is None else max(now_ms, there.state_epoch + 1)
        tx.run(
            "INSERT INTO share_partitions(group_id, topic_id, partition, start, state_epoch, leader_epoch, states)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, topic_id, partition) DO UPDATE SET"
            " start = excluded.start, state_epoch = excluded.state_epoch, leader_epoch = excluded.leader_epoch,"
            " states = excluded.states",
            *(group_id, topic.bytes, index, start, epoch, -1, NO_STATES),
        )


def forget(tx: Tx, group_id: str, topics: Collection[bytes], coordinator: Coordinator) -> None:
    """Takes topics out of a group's memory."""
    check_coordinator(tx, coordinator)
    for topic in topics:
        tx.run("DELETE FROM share_partitions WHERE group_id = ? AND topic_id = ?", group_id, topic)


def _leaders(tx: Tx, writes: Sequence[ShareWrite]) -> dict[int, tuple[int, int]]:
    uids = [write.leader.uid for write in writes]
    found = tx.among("SELECT uid, owner, epoch FROM partitions WHERE uid IN ({keys})", uids)
    return {uid: (owner, epoch) for uid, owner, epoch in found}


def _check_leader(leaders: Mapping[int, tuple[int, int]], write: ShareWrite) -> None:
    if leaders.get(write.leader.uid) != (write.leader.owner, write.leader.epoch):
        raise NotLeaderOrFollower(f"broker {write.leader.owner} no longer leads under epoch {write.leader.epoch}")
