"""Consumer groups and their offsets: rows conditional on the coordinator's own leadership, committed in groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from broker.errors import InvalidRequest, KafkaError, NotCoordinator
from broker.metadata.database import Tx
from broker.metadata.rows import Coordinator, GroupRow, OffsetRow

OffsetKey = tuple[UUID, int]
"""Topic id and partition index."""


def check_coordinator(tx: Tx, coordinator: Coordinator) -> None:
    """NotCoordinator unless the caller still leads the group's partition, under the same epoch."""
    row = tx.one("SELECT owner, epoch FROM partitions WHERE uid = ?", coordinator.uid)
    if row is None or tuple(row) != (coordinator.owner, coordinator.epoch):
        raise _not_coordinator(coordinator)


def _not_coordinator(coordinator: Coordinator) -> NotCoordinator:
    return NotCoordinator(f"broker {coordinator.owner} no longer coordinates under epoch {coordinator.epoch}")


OffsetCommit = tuple[str, Mapping[OffsetKey, OffsetRow], Coordinator]
"""Group id, its new offsets, and what they are conditional on."""


def commit_offsets(tx: Tx, commits: Sequence[OffsetCommit]) -> list[KafkaError | None]:
    """Every group's offsets that wait at this moment, in two statements; per commit, why it was refused. Where two
    commit the same offset the later one stands.
    """
    uids = [coordinator.uid for _, _, coordinator in commits]
    held = {
        uid: (owner, epoch)
        for uid, owner, epoch in tx.among("SELECT uid, owner, epoch FROM partitions WHERE uid IN ({keys})", uids)
    }
    refusals: list[KafkaError | None] = []
    rows: dict[tuple[str, bytes, int], tuple[int, int, str, int]] = {}
    for group_id, offsets, coordinator in commits:
        if held.get(coordinator.uid) != (coordinator.owner, coordinator.epoch):
            refusals.append(_not_coordinator(coordinator))
            continue
        if any("\0" in text for text in (group_id, *(row.metadata for row in offsets.values()))):
            refusals.append(InvalidRequest(f"group {group_id!r}: offsets with a NUL in their text cannot be kept"))
            continue
        refusals.append(None)
        for (topic, index), row in offsets.items():
            key = (group_id, topic.bytes, index)
            rows[key] = (row.offset, row.leader_epoch, row.metadata, row.committed_at_ms)
    tx.many(
        'INSERT INTO offsets(group_id, topic_id, partition, "offset", leader_epoch, metadata, committed_at_ms)'
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, topic_id, partition) DO UPDATE SET"
        ' "offset" = excluded."offset", leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,'
        " committed_at_ms = excluded.committed_at_ms",
        [(*key, *values) for key, values in rows.items()],
    )
    return refusals


def fetch_offsets(tx: Tx, group_id: str) -> dict[OffsetKey, OffsetRow]:
    rows = tx.all(
        'SELECT topic_id, partition, "offset", leader_epoch, metadata, committed_at_ms FROM offsets WHERE group_id = ?',
        group_id,
    )
    return {
        (UUID(bytes=topic), index): OffsetRow(offset=o, leader_epoch=e, metadata=m, committed_at_ms=at)
        for topic, index, o, e, m, at in rows
    }


def delete_offsets(tx: Tx, group_id: str, keys: Collection[OffsetKey], coordinator: Coordinator) -> None:
    """Forgets single partitions."""
    check_coordinator(tx, coordinator)
    tx.many(
        "DELETE FROM offsets WHERE group_id = ? AND topic_id = ? AND partition = ?",
        [(group_id, topic.bytes, index) for topic, index in keys],
    )


def aged(tx: Tx, coordinator_uid: int, before_ms: int) -> list[str]:
    """Groups of one coordinator that have an offset older than that, or no offset at all."""
    rows = tx.all(
        "SELECT g.group_id FROM groups g WHERE g.coordinator_uid = ? AND ("
        " EXISTS (SELECT 1 FROM offsets o WHERE o.group_id = g.group_id AND o.committed_at_ms < ?)"
        " OR NOT EXISTS (SELECT 1 FROM offsets o WHERE o.group_id = g.group_id)) ORDER BY g.group_id",
        *(coordinator_uid, before_ms),
    )
    return [row[0] for row in rows]


def expire(
    tx: Tx, group_id: str, before_ms: int, kept: Collection[UUID], is_empty: bool, coordinator: Coordinator
) -> int:
    """Forgets a group's offsets that are older than that, but of the topics `kept`; how many are left. An empty group
    without any goes too.
    """
    check_coordinator(tx, coordinator)
    old = tx.all(
        "SELECT topic_id, partition FROM offsets WHERE group_id = ? AND committed_at_ms < ?", group_id, before_ms
    )
    held = {topic.bytes for topic in kept}
    tx.many(
        "DELETE FROM offsets WHERE group_id = ? AND topic_id = ? AND partition = ?",
        [(group_id, topic, index) for topic, index in old if bytes(topic) not in held],
    )
    (left,) = tx.one("SELECT count(*) FROM offsets WHERE group_id = ?", group_id)
    if is_empty and not left:
        for table in ("groups", "group_members", "share_partitions"):
            tx.run(f"DELETE FROM {table} WHERE group_id = ?", group_id)
    return int(left)


def save_group(tx: Tx, row: GroupRow, coordinator: Coordinator) -> None:
    check_coordinator(tx, coordinator)
    tx.run(
        "INSERT INTO groups(group_id, coordinator_uid, state) VALUES (?, ?, ?) ON CONFLICT (group_id) DO UPDATE SET"
        " coordinator_uid = excluded.coordinator_uid, state = excluded.state",
        *(row.group_id, row.coordinator_uid, row.state),
    )
    if row.is_whole:
        tx.run("DELETE FROM group_members WHERE group_id = ?", row.group_id)
    else:
        tx.many(
            "DELETE FROM group_members WHERE group_id = ? AND member_id = ?",
            [(row.group_id, member) for member, state in row.members.items() if state is None],
        )
    tx.many(
        "INSERT INTO group_members(group_id, member_id, state) VALUES (?, ?, ?)"
        " ON CONFLICT (group_id, member_id) DO UPDATE SET state = excluded.state",
        [(row.group_id, member, state) for member, state in row.members.items() if state is not None],
    )


def delete_group(tx: Tx, group_id: str, coordinator: Coordinator) -> None:
    check_coordinator(tx, coordinator)
    tx.run("DELETE FROM groups WHERE group_id = ?", group_id)
    for table in ("offsets", "txn_offsets", "group_members", "share_partitions"):
        tx.run(f"DELETE FROM {table} WHERE group_id = ?", group_id)


def groups(tx: Tx, coordinator_uid: int) -> list[GroupRow]:
    """Every group of one coordinator: those with state, and those that only ever committed offsets are groups/'
    business.
    """
    rows = tx.all("SELECT group_id, coordinator_uid, state FROM groups WHERE coordinator_uid = ?", coordinator_uid)
    members: dict[str, dict[str, str | None]] = {}
    for group_id, member_id, state in tx.all(
        "SELECT m.group_id, m.member_id, m.state FROM group_members m JOIN groups g ON g.group_id = m.group_id"
        " WHERE g.coordinator_uid = ?",
        coordinator_uid,
    ):
        members.setdefault(group_id, {})[member_id] = state
    return [GroupRow(group_id=g, coordinator_uid=u, state=s, members=members.get(g, {})) for g, u, s in rows]


def offset_groups(tx: Tx) -> list[str]:
    """Every group with a committed offset."""
    return [row[0] for row in tx.all("SELECT DISTINCT group_id FROM offsets ORDER BY group_id")]
