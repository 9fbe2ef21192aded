"""Transactional ids, what their transactions wrote to, and offsets that wait for the outcome: rows of one store, so
that what a decision means happens in the SQL transaction that decides.

1. A coordinator's writes are conditional on its partition's (owner, epoch), as a group's are.
2. A transaction takes a partition, or a group's offsets, only while its row says that it may; since both are in one
   store, leaders and group coordinators check that themselves, in the transaction that adds.
3. Offsets become the group's in the transaction that says PrepareCommit, and are gone with the one that says
   PrepareAbort.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from broker.metadata.database import Tx
from broker.metadata.groups import OffsetKey
from broker.metadata.rows import OffsetRow, TransactionRow

_COLUMNS = (
    "transactional_id, coordinator_uid, state, producer_id, epoch, previous_id, previous_epoch, marker_id,"
    " marker_epoch, timeout_ms, started_ms, updated_ms"
)

Place = tuple[UUID, int]
"""A partition by the identity that outlives its topic's name: topic id and index."""


def load(tx: Tx, transactional_id: str) -> TransactionRow | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM transactions WHERE transactional_id = ?", transactional_id)
    return None if row is None else _row(row)


def of_coordinators(tx: Tx, uids: Collection[int]) -> list[TransactionRow]:
    """Every transactional id that lives on those partitions."""
    rows = tx.among(f"SELECT {_COLUMNS} FROM transactions WHERE coordinator_uid IN ({{keys}})", uids)
    return [_row(row) for row in rows]


def in_states(tx: Tx, uids: Collection[int], states: Sequence[str]) -> list[TransactionRow]:
    """Those of `of_coordinators` that are in one of the states."""
    found: list[TransactionRow] = []
    for state in states:
        rows = tx.among(
            f"SELECT {_COLUMNS} FROM transactions WHERE coordinator_uid IN ({{keys}}) AND state = ?", uids, state
        )
        found += [_row(row) for row in rows]
    return found


def overdue(tx: Tx, uids: Collection[int], now_ms: int) -> list[TransactionRow]:
    """Transactions under way for longer than their producers allowed."""
    rows = tx.among(
        f"SELECT {_COLUMNS} FROM transactions WHERE coordinator_uid IN ({{keys}}) AND state = 'Ongoing'"
        " AND started_ms + timeout_ms < ?",
        *(uids, now_ms),
    )
    return [_row(row) for row in rows]


def _row(row: Sequence[object]) -> TransactionRow:
    names = _COLUMNS.split(", ")
    return TransactionRow(**dict(zip(names, row, strict=True)))  # type: ignore[arg-type]


def save(tx: Tx, row: TransactionRow) -> None:
    tx.run(
        f"INSERT INTO transactions({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (transactional_id) DO UPDATE SET coordinator_uid = excluded.coordinator_uid,"
        " state = excluded.state, producer_id = excluded.producer_id, epoch = excluded.epoch,"
        " previous_id = excluded.previous_id, previous_epoch = excluded.previous_epoch,"
        " marker_id = excluded.marker_id, marker_epoch = excluded.marker_epoch, timeout_ms = excluded.timeout_ms,"
        " started_ms = excluded.started_ms, updated_ms = excluded.updated_ms",
        *(row.transactional_id, row.coordinator_uid, row.state, row.producer_id, row.epoch),
        *(row.previous_id, row.previous_epoch, row.marker_id, row.marker_epoch),
        *(row.timeout_ms, row.started_ms, row.updated_ms),
    )


def places(tx: Tx, transactional_id: str) -> list[Place]:
    """What the transaction has written to."""
    rows = tx.all(
        "SELECT topic_id, partition FROM txn_partitions WHERE transactional_id = ? ORDER BY topic_id, partition",
        transactional_id,
    )
    return [(UUID(bytes=topic), index) for topic, index in rows]


def add_places(tx: Tx, transactional_id: str, added: Collection[Place]) -> None:
    tx.many(
        "INSERT INTO txn_partitions(transactional_id, topic_id, partition) VALUES (?, ?, ?)"
        " ON CONFLICT (transactional_id, topic_id, partition) DO NOTHING",
        [(transactional_id, topic.bytes, index) for topic, index in added],
    )


def clear_places(tx: Tx, transactional_id: str) -> None:
    tx.run("DELETE FROM txn_partitions WHERE transactional_id = ?", transactional_id)


def add_offsets(tx: Tx, transactional_id: str, group_id: str, offsets: Mapping[OffsetKey, OffsetRow]) -> None:
    """Offsets that wait for the transaction's outcome; the later of two for one partition stands."""
    tx.many(
        'INSERT INTO txn_offsets(transactional_id, group_id, topic_id, partition, "offset", leader_epoch, metadata,'
        " committed_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (transactional_id, group_id, topic_id, partition) DO UPDATE SET"
        ' "offset" = excluded."offset", leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,'
        " committed_at_ms = excluded.committed_at_ms",
        [
            (transactional_id, group_id, topic.bytes, index, r.offset, r.leader_epoch, r.metadata, r.committed_at_ms)
            for (topic, index), r in offsets.items()
        ],
    )


def settle_offsets(tx: Tx, transactional_id: str, *, commit: bool) -> None:
    """The outcome of the offsets that wait: the group's, or forgotten."""
    if commit:
        tx.run(
            'INSERT INTO offsets(group_id, topic_id, partition, "offset", leader_epoch, metadata, committed_at_ms)'
            ' SELECT group_id, topic_id, partition, "offset", leader_epoch, metadata, committed_at_ms FROM txn_offsets'
            " WHERE transactional_id = ?"
            " ON CONFLICT (group_id, topic_id, partition) DO UPDATE SET"
            ' "offset" = excluded."offset", leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,'
            " committed_at_ms = excluded.committed_at_ms",
            transactional_id,
        )
    tx.run("DELETE FROM txn_offsets WHERE transactional_id = ?", transactional_id)


def unstable(tx: Tx, group_id: str) -> set[OffsetKey]:
    """The partitions for which an open transaction holds an offset of the group."""
    rows = tx.all("SELECT DISTINCT topic_id, partition FROM txn_offsets WHERE group_id = ?", group_id)
    return {(UUID(bytes=topic), index) for topic, index in rows}


def new_producer_id(tx: Tx) -> int:
    """An id that nobody else ever gets."""
    (after,) = tx.one("UPDATE cluster SET next_producer_id = next_producer_id + 1 RETURNING next_producer_id")
    return int(after) - 1


def expire(tx: Tx, uids: Collection[int], states: Sequence[str], before_ms: int) -> None:
    """Forgets transactional ids that nobody has used since."""
    for state in states:
        tx.among(
            "DELETE FROM transactions WHERE coordinator_uid IN ({keys}) AND state = ? AND updated_ms < ?",
            *(uids, state, before_ms),
        )
