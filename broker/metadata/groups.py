"""Consumer groups and their offsets: rows conditional on the coordinator's own leadership, committed in groups."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from broker.errors import NotCoordinator
from broker.metadata.database import Tx
from broker.metadata.rows import Coordinator, GroupRow, OffsetRow

OffsetKey = tuple[UUID, int]
"""Topic id and partition index."""


def check_coordinator(tx: Tx, coordinator: Coordinator) -> None:
    """NotCoordinator unless the caller still leads the group's partition, under the same epoch."""
    row = tx.one("SELECT owner, epoch FROM partitions WHERE uid = ?", coordinator.uid)
    if row is None or tuple(row) != (coordinator.owner, coordinator.epoch):
        raise NotCoordinator(f"broker {coordinator.owner} no longer coordinates under epoch {coordinator.epoch}")


def commit_offsets(tx: Tx, group_id: str, rows: Mapping[OffsetKey, OffsetRow], coordinator: Coordinator) -> None:
    check_coordinator(tx, coordinator)
    tx.many(
        "INSERT OR REPLACE INTO offsets VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (group_id, topic.bytes, index, row.offset, row.leader_epoch, row.metadata, row.committed_at_ms)
            for (topic, index), row in rows.items()
        ],
    )


def fetch_offsets(tx: Tx, group_id: str) -> dict[OffsetKey, OffsetRow]:
    rows = tx.all(
        "SELECT topic_id, partition, offset, leader_epoch, metadata, committed_at_ms FROM offsets WHERE group_id = ?",
        group_id,
    )
    return {
        (UUID(bytes=topic), index): OffsetRow(offset=o, leader_epoch=e, metadata=m, committed_at_ms=at)
        for topic, index, o, e, m, at in rows
    }


def save_group(tx: Tx, row: GroupRow, coordinator: Coordinator) -> None:
    check_coordinator(tx, coordinator)
    tx.run("INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", row.group_id, row.coordinator_uid, row.state)


def delete_group(tx: Tx, group_id: str, coordinator: Coordinator) -> None:
    check_coordinator(tx, coordinator)
    tx.run("DELETE FROM groups WHERE group_id = ?", group_id)
    tx.run("DELETE FROM offsets WHERE group_id = ?", group_id)


def groups(tx: Tx, coordinator_uid: int) -> list[GroupRow]:
    """Every group of one coordinator: those with state, and those that only ever committed offsets are groups/'
    business.
    """
    rows = tx.all("SELECT group_id, coordinator_uid, state FROM groups WHERE coordinator_uid = ?", coordinator_uid)
    return [GroupRow(group_id=g, coordinator_uid=u, state=s) for g, u, s in rows]


def offset_groups(tx: Tx) -> list[str]:
    """Every group with a committed offset."""
    return [row[0] for row in tx.all("SELECT DISTINCT group_id FROM offsets ORDER BY group_id")]
