"""The life of an object and of the ranges in it, as transactions (laws 3, 5 and 8).

    prepare -> upload -> commit -> mark -> delete

1. A commit needs its prepared row alive, and each extent is checked by itself: the range must be open for the WAL that
   wrote the records, under the same leader epoch, and end where the extent starts. What is refused is left out and
   never fails the others.
2. A move closes the range, changes the owner and opens the next range in the transaction that commits the last records.
3. The sweeper marks a row dead before it deletes the object, so that no commit can come in between.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from broker.errors import KafkaStorageError
from broker.metadata.database import Tx
from broker.metadata.image import Recovery
from broker.metadata.members import (
    Gift,
    check_controller,
    check_recovery,
    deregister,
    give,
    hand_out,
    sign_off,
    successors,
)
from broker.metadata.picture import DUTIES
from broker.metadata.rows import Extent, Opening, RangeRow

Wal = tuple[int, int]
"""Broker id and broker epoch: the WAL that a range belongs to."""


def prepare(tx: Tx, broker: int, now_ms: int) -> int:
    """A fresh object id; the row protects the upload from the sweeper until its time is over."""
    (object_id,) = tx.one(
        "INSERT INTO objects(state, broker, size_bytes, at_ms) VALUES ('prepared', ?, 0, ?) RETURNING id",
        *(broker, now_ms),
    )
    return int(object_id)


def give_up(tx: Tx, object_id: int) -> None:
    """Forgets an id that was prepared and not used."""
    tx.run("UPDATE objects SET state = 'gone' WHERE id = ? AND state = 'prepared'", object_id)


def commit(tx: Tx, object_id: int, size_bytes: int, extents: Sequence[Extent], wal: Wal, now_ms: int) -> set[int]:
    """Makes an uploaded object's extents visible; the uids that were refused. Safe to repeat when the answer was
    lost.
    """
    row = tx.one("SELECT state FROM objects WHERE id = ?", object_id)
    if row is not None and row[0] in ("committed", "marked"):
        done = {r[0] for r in tx.all("SELECT uid FROM ranges WHERE object = ?", object_id)}
        return {extent.uid for extent in extents} - done
    if row is None or row[0] != "prepared":
        raise KafkaStorageError(f"object {object_id} was given up before its commit: its upload took too long")
    refused = _refused(tx, extents, wal)
    state = "marked" if len(refused) == len(extents) else "committed"
    tx.run("UPDATE objects SET state = ?, size_bytes = ?, at_ms = ? WHERE id = ?", state, size_bytes, now_ms, object_id)
    _grow(tx, [extent for extent in extents if extent.uid not in refused], object_id)
    return refused


def _refused(tx: Tx, extents: Sequence[Extent], wal: Wal) -> set[int]:
    """Those whose range is not open for this WAL under that leader epoch, or does not end where they start."""
    ends = _open_ends(tx, [extent.uid for extent in extents], wal)
    return {extent.uid for extent in extents if ends.get((extent.uid, extent.epoch)) != extent.start}


def _open_ends(tx: Tx, uids: Collection[int], wal: Wal) -> dict[tuple[int, int], int]:
    """(uid, leader epoch) to the committed end, where that range is open and this WAL's."""
    rows = tx.among(
        "SELECT e.uid, e.epoch, p.log_end FROM epochs e JOIN partitions p ON p.uid = e.uid WHERE e.uid IN ({keys})"
        " AND e.end_ IS NULL AND e.broker = ? AND e.broker_epoch <= ?",
        *(uids, *wal),
    )
    return {(uid, epoch): end for uid, epoch, end in rows}


def _grow(tx: Tx, extents: Sequence[Extent], object_id: int) -> None:
    tx.many(
        "INSERT INTO ranges(uid, start, end_, object, size_bytes, max_timestamp_ms) VALUES (?, ?, ?, ?, ?, ?)",
        [(e.uid, e.start, e.end, object_id, e.size_bytes, e.max_timestamp_ms) for e in extents],
    )
    tx.many(
        "UPDATE partitions SET log_end = ?, size_bytes = size_bytes + ?, producers = ? WHERE uid = ?",
        [(e.end, e.size_bytes, e.producers, e.uid) for e in extents],
    )


def hand_over(tx: Tx, ends: dict[int, tuple[int, int]], wal: Wal) -> set[int]:
    """Closes ranges at their committed ends and gives the partitions to their targets; the uids that are closed.

    `ends` is uid to (leader epoch, end). What is left out: a move that was cancelled, a target that is not alive, a
    range that is not this WAL's, or records that are not committed yet. A range that is closed already is named too:
    the transaction may be asked again because its answer was lost, and nothing may be appended to it.
    """
    alive = dict(tx.all("SELECT id, epoch FROM brokers WHERE alive = 1"))
    rows = tx.among("SELECT uid, target FROM partitions WHERE uid IN ({keys}) AND target IS NOT NULL", ends)
    targets = {uid: ids for uid, target in rows if (ids := json.loads(target)) and ids[0] in alive}
    moved = _close(tx, {uid: ends[uid] for uid in targets}, wal)
    tx.many("UPDATE partitions SET target = NULL WHERE uid = ?", [(uid,) for uid in moved])
    to = {uid: targets[uid][0] for uid in moved}
    give(tx, [Gift(uid=u, owner=b, owner_epoch=alive[b], replicas=targets[u]) for u, b in to.items()])
    rows = tx.among("SELECT uid, epoch FROM epochs WHERE uid IN ({keys}) AND end_ IS NULL", ends)
    still_open = {(uid, epoch) for uid, epoch in rows}
    return {uid for uid, (epoch, _) in ends.items() if (uid, epoch) not in still_open}


def _close(tx: Tx, ends: Mapping[int, tuple[int, int]], wal: Wal) -> list[int]:
    """Closes the open ranges that are this WAL's and committed up to the given end; the uids of those."""
    committed = _open_ends(tx, ends, wal)
    closed = [(end, uid, epoch) for uid, (epoch, end) in ends.items() if committed.get((uid, epoch)) == end]
    tx.many("UPDATE epochs SET end_ = ? WHERE uid = ? AND epoch = ?", closed)
    return [uid for _, uid, _ in closed]


def release(tx: Tx, ends: dict[int, tuple[int, int]], wal: Wal) -> set[int]:
    """Gives everything of a leaving broker to others, or to nobody when it is the last; the uids that were closed.

    All or nothing: a broker that cannot close a range leaves as a dead one does, and its WAL is replayed
    (KafkaStorageError). What it was given and had not opened yet goes too: nothing was ever appended to that. It
    deregisters in the same transaction, so that another one that leaves at this moment cannot hand it anything more.
    """
    deregister(tx, *wal)
    rows = tx.all(
        "SELECT e.uid, e.epoch, p.log_end FROM epochs e JOIN partitions p ON p.uid = e.uid"
        " WHERE e.broker = ? AND e.broker_epoch = ? AND e.end_ IS NULL",
        *wal,
    )
    all_ends = {uid: ends.get(uid, (epoch, end)) for uid, epoch, end in rows}
    closed = _close(tx, all_ends, wal)
    if len(closed) < len(all_ends):
        raise KafkaStorageError(
            f"{len(all_ends) - len(closed)} ranges of broker {wal[0]} end past what is committed: who replays its WAL"
            " closes them"
        )
    hand_out(tx, closed, successors(tx, {wal[0]}))
    sign_off(tx, *wal)
    return set(closed)


def finish_recovery(tx: Tx, recovery: Recovery, preferred: int | None) -> list[int]:
    """Closes every range the dead broker left open and finds new owners: `preferred` for all of them, or the live
    brokers.
    """
    check_recovery(tx, recovery)
    rows = tx.all(
        "SELECT e.uid, p.log_end FROM epochs e JOIN partitions p ON p.uid = e.uid"
        " WHERE e.broker = ? AND e.broker_epoch <= ? AND e.end_ IS NULL",
        *(recovery.broker, recovery.broker_epoch),
    )
    tx.many("UPDATE epochs SET end_ = ? WHERE uid = ? AND end_ IS NULL", [(end, uid) for uid, end in rows])
    live = successors(tx, ())
    if preferred is not None:
        epoch = dict(live)[preferred]
        give(tx, [Gift(uid=uid, owner=preferred, owner_epoch=epoch) for uid, _ in rows])
    else:
        hand_out(tx, [uid for uid, _ in rows], live)
    tx.run("DELETE FROM recoveries WHERE broker = ?", recovery.broker)
    tx.changed(DUTIES)
    return [row[0] for row in rows]


def openings(tx: Tx, owner: int, owner_epoch: int, uids: Collection[int]) -> list[Opening]:
    """What is needed to open those partitions, as far as this broker epoch really has an open range for them.

    Two lists rather than a join: before its first statistics PostgreSQL takes 5,000 rows of each for one, and compares
    every pair.
    """
    held = tx.among(
        "SELECT uid, epoch FROM epochs WHERE uid IN ({keys}) AND broker = ? AND broker_epoch = ? AND end_ IS NULL",
        *(uids, owner, owner_epoch),
    )
    rows = tx.among(
        "SELECT uid, owner, epoch, log_start, log_end, size_bytes, producers FROM partitions WHERE uid IN ({keys})",
        [uid for uid, _ in held],
    )
    cleaned = dict(tx.among("SELECT uid, up_to FROM cleaned WHERE uid IN ({keys})", [uid for uid, _ in held]))
    open_now = set(held)
    return [
        Opening(
            uid=uid,
            epoch=epoch,
            start=start,
            end=end,
            size_bytes=size,
            producers=producers,
            cleaned_to=cleaned.get(uid, 0),
        )
        for uid, leader, epoch, start, end, size, producers in rows
        if leader == owner and (uid, epoch) in open_now
    ]


def ranges(tx: Tx, uid: int) -> list[RangeRow]:
    rows = tx.all(
        "SELECT r.start, r.end_, r.object, r.size_bytes, r.max_timestamp_ms, o.size_bytes FROM ranges r"
        " JOIN objects o ON o.id = r.object WHERE r.uid = ? ORDER BY r.start",
        uid,
    )
    return [
        RangeRow(start=start, end=end, object_id=obj, size_bytes=size, max_timestamp_ms=ts, object_bytes=whole)
        for start, end, obj, size, ts, whole in rows
    ]


def epoch_history(tx: Tx, uid: int) -> list[tuple[int, int]]:
    """(epoch, start offset) of every leadership, from the first byte (law 10)."""
    return [tuple(row) for row in tx.all("SELECT epoch, start FROM epochs WHERE uid = ? ORDER BY epoch", uid)]


def condemn(tx: Tx, me: int, controller_epoch: int, prepared_before_ms: int, marked_before_ms: int) -> list[int]:
    """Marks dead what the sweeper may delete now: uploads whose time is over and objects long unreferenced. Rows whose
    objects are gone are removed, but never the highest there is: it says which ids were given out.
    """
    check_controller(tx, me, controller_epoch)
    tx.run("DELETE FROM objects WHERE state = 'gone' AND id < (SELECT max(id) FROM objects)")
    tx.run(
        "UPDATE objects SET state = 'dead'"
        " WHERE (state = 'prepared' AND at_ms < ?) OR (state = 'marked' AND at_ms < ?)",
        *(prepared_before_ms, marked_before_ms),
    )
    return [row[0] for row in tx.all("SELECT id FROM objects WHERE state = 'dead' ORDER BY id LIMIT 1000")]


def forget(tx: Tx, objects: Collection[int]) -> None:
    """Lets go of deleted objects; the next `condemn` removes their rows."""
    tx.among("UPDATE objects SET state = 'gone' WHERE id IN ({keys}) AND state = 'dead'", objects)


def newest_object(tx: Tx) -> int:
    """The highest object id ever given out: one above it in the bucket means this metadata is an older copy (law 8)."""
    (highest,) = tx.one("SELECT max(id) FROM objects")
    return int(highest or 0)
