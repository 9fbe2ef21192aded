"""Compaction as transactions: who may work on what, which objects are worth it, and ranges that take others' place.

1. A lease decides when somebody compacts, never whether the result counts: `swap` is conditional on the ranges it
   replaces still being there, whoever owns the partition and whoever held the lease.
2. A partition whose ranges changed meanwhile (retention, deletion, another compaction) is left out and never fails the
   others of its object.
3. What cleaning removed changes sizes that a leader keeps in memory, so a cleaning also asks for its leadership.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from broker.errors import KafkaStorageError
from broker.metadata.database import Tx
from broker.metadata.rows import RangeRow
from broker.metadata.topics import mark_unreferenced
from broker.metadata.trims import lives

OWN_LEVEL = 100
"""Of an object that holds one partition; below it stands how often a shared object was merged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """One partition's range in an object that may be compacted."""

    uid: int
    row: RangeRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An object that may be compacted."""

    object_id: int
    size_bytes: int
    ranges: int
    live_bytes: int
    """What ranges still point at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewObject:
    """An uploaded object whose ranges are about to take the place of others."""

    object_id: int
    size_bytes: int
    level: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Swap:
    """Consecutive ranges of one partition, and what stands for the same offsets afterwards."""

    uid: int
    old: tuple[RangeRow, ...]
    new: tuple[RangeRow, ...]
    epoch: int | None = None
    """The leadership that a cleaning is conditional on; None: nobody's."""


def take_lease(tx: Tx, name: str, holder: int, holder_epoch: int, now_ms: int, ttl_ms: int) -> int | None:
    """The lease's epoch when it is this broker epoch's now (again), None while another live one holds it."""
    row = tx.one("SELECT holder, holder_epoch, epoch, expires_at_ms FROM leases WHERE name = ?", name)
    epoch = 1
    if row is not None:
        had, had_epoch, epoch, expires_at_ms = row
        if (had, had_epoch) != (holder, holder_epoch):
            if expires_at_ms > now_ms and lives(tx, had, had_epoch):
                return None
            epoch += 1
    tx.run(
        "INSERT INTO leases(name, holder, holder_epoch, epoch, expires_at_ms) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, holder_epoch = excluded.holder_epoch,"
        " epoch = excluded.epoch, expires_at_ms = excluded.expires_at_ms",
        *(name, holder, holder_epoch, epoch, now_ms + ttl_ms),
    )
    return int(epoch)


def absent_brokers(tx: Tx) -> list[int]:
    """Brokers whose objects somebody else must look after."""
    return [row[0] for row in tx.all("SELECT id FROM brokers WHERE alive = 0 ORDER BY id")]


def sources(tx: Tx, broker: int, level: int, limit: int) -> list[Source]:
    """Committed objects of one level that a broker made, the oldest first."""
    rows = tx.all(
        "SELECT o.id, o.size_bytes, count(*), sum(r.size_bytes) FROM objects o JOIN ranges r ON r.object = o.id"
        " WHERE o.level = ? AND o.broker = ? AND o.state = 'committed' GROUP BY o.id, o.size_bytes ORDER BY o.id"
        " LIMIT ?",
        *(level, broker, limit),
    )
    return [Source(object_id=i, size_bytes=size, ranges=n, live_bytes=int(live)) for i, size, n, live in rows]


def levels(tx: Tx, broker: int) -> list[int]:
    """Levels of shared objects that a broker has any objects of."""
    rows = tx.all(
        "SELECT DISTINCT level FROM objects WHERE level < ? AND broker = ? AND state = 'committed' ORDER BY level",
        *(OWN_LEVEL, broker),
    )
    return [row[0] for row in rows]


def crowding(tx: Tx, broker: int, level: int) -> int:
    """In how many objects of that level the partition with the most of them lies."""
    row = tx.one(
        "SELECT count(*) AS crowd FROM ranges r JOIN objects o ON o.id = r.object"
        " WHERE o.level = ? AND o.broker = ? AND o.state = 'committed' GROUP BY r.uid ORDER BY crowd DESC LIMIT 1",
        *(level, broker),
    )
    return int(row[0]) if row else 0


def held_in(tx: Tx, objects: Sequence[int]) -> list[Held]:
    """Every range in those objects, by partition and offset."""
    rows = tx.among(
        "SELECT uid, start, end_, object, size_bytes, max_timestamp_ms FROM ranges WHERE object IN ({keys})", objects
    )
    return _held(rows)


def small_ranges(tx: Tx, uids: Sequence[int], below_bytes: int) -> list[Held]:
    """Ranges of those partitions that are small and have their object for themselves."""
    rows = tx.among(
        "SELECT r.uid, r.start, r.end_, r.object, r.size_bytes, r.max_timestamp_ms FROM ranges r"
        " JOIN objects o ON o.id = r.object WHERE o.level = ? AND r.size_bytes < ? AND r.uid IN ({keys})",
        uids,
        *(OWN_LEVEL, below_bytes),
    )
    return _held(rows)


def _held(rows: Sequence[tuple[int, int, int, int, int, int]]) -> list[Held]:
    return [
        Held(uid=uid, row=RangeRow(start=start, end=end, object_id=object_id, size_bytes=size, max_timestamp_ms=newest))
        for uid, start, end, object_id, size, newest in sorted(rows)
    ]


def sizes(tx: Tx, objects: Sequence[int]) -> dict[int, int]:
    """The size of each of those objects that is committed."""
    return dict(
        tx.among("SELECT id, size_bytes FROM objects WHERE state = 'committed' AND id IN ({keys})", objects),
    )


def set_apart(tx: Tx, objects: Sequence[int]) -> None:
    """Notes that each of these holds one partition alone."""
    tx.many("UPDATE objects SET level = ? WHERE id = ?", [(OWN_LEVEL, object_id) for object_id in objects])


def swap(tx: Tx, made: Sequence[NewObject], swaps: Sequence[Swap], now_ms: int) -> set[tuple[int, int]]:
    """Puts new ranges in the place of old ones; (uid, start) of those that were refused. Safe to repeat when the answer
    was lost.
    """
    ids = [one.object_id for one in made]
    states = dict(tx.among("SELECT id, state FROM objects WHERE id IN ({keys})", ids))
    if {"committed", "marked"} & set(states.values()):
        there = {(uid, start) for uid, start in tx.among("SELECT uid, start FROM ranges WHERE object IN ({keys})", ids)}
        return {(one.uid, one.new[0].start) for one in swaps} - there
    if any(states.get(object_id) != "prepared" for object_id in ids):
        raise KafkaStorageError(f"object {ids[0]} was given up before its commit: its compaction took too long")
    kept = _still_there(tx, swaps)
    _replace(tx, kept)
    used = {row.object_id for one in kept for row in one.new}
    tx.many(
        "UPDATE objects SET state = ?, size_bytes = ?, level = ?, at_ms = ? WHERE id = ?",
        [
            ("committed" if one.object_id in used else "marked", one.size_bytes, one.level, now_ms, one.object_id)
            for one in made
        ],
    )
    mark_unreferenced(tx, {row.object_id for one in kept for row in one.old}, now_ms)
    return {(one.uid, one.new[0].start) for one in swaps} - {(one.uid, one.new[0].start) for one in kept}


def _still_there(tx: Tx, swaps: Sequence[Swap]) -> list[Swap]:
    old = {row.object_id for one in swaps for row in one.old}
    standing = set(tx.among("SELECT uid, start, end_, object FROM ranges WHERE object IN ({keys})", sorted(old)))
    leading = {one.uid: one.epoch for one in swaps if one.epoch is not None}
    if leading:
        rows = tx.among("SELECT uid, epoch FROM epochs WHERE end_ IS NULL AND uid IN ({keys})", list(leading))
        leading = {uid: epoch for uid, epoch in rows if leading[uid] == epoch}
    return [
        one
        for one in swaps
        if (one.epoch is None or one.uid in leading)
        and all((one.uid, row.start, row.end, row.object_id) in standing for row in one.old)
    ]


def _replace(tx: Tx, kept: Sequence[Swap]) -> None:
    if not kept:
        return
    tx.many("DELETE FROM ranges WHERE uid = ? AND start = ?", [(one.uid, row.start) for one in kept for row in one.old])
    tx.many(
        "INSERT INTO ranges(uid, start, end_, object, size_bytes, max_timestamp_ms) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (one.uid, row.start, row.end, row.object_id, row.size_bytes, row.max_timestamp_ms)
            for one in kept
            for row in one.new
        ],
    )
    shrunk = [(change, one.uid) for one in kept if (change := _bytes(one.new) - _bytes(one.old))]
    if shrunk:
        tx.many("UPDATE partitions SET size_bytes = size_bytes + ? WHERE uid = ?", shrunk)
    (number,) = tx.one("UPDATE rewrite_count SET number = number + 1 RETURNING number")
    tx.many(
        "INSERT INTO rewrites(uid, number) VALUES (?, ?) ON CONFLICT (uid) DO UPDATE SET number = excluded.number",
        [(uid, number) for uid in sorted({one.uid for one in kept})],
    )


def _bytes(rows: Sequence[RangeRow]) -> int:
    return sum(row.size_bytes for row in rows)


def rewritten_since(tx: Tx, number: int) -> tuple[int, list[int]]:
    """The newest number, and the partitions whose ranges were replaced after `number`."""
    rows = tx.all("SELECT uid, number FROM rewrites WHERE number > ?", number)
    return max([number, *(row[1] for row in rows)]), [row[0] for row in rows]


def clean_points(tx: Tx, uids: Sequence[int]) -> dict[int, int]:
    """How far each of those partitions is clean; one that never was is left out."""
    return dict(tx.among("SELECT uid, up_to FROM cleaned WHERE uid IN ({keys})", uids))


def note_clean(tx: Tx, uid: int, up_to: int, now_ms: int) -> None:
    """Remembers how far a partition is clean."""
    tx.run(
        "INSERT INTO cleaned(uid, up_to, at_ms) VALUES (?, ?, ?)"
        " ON CONFLICT (uid) DO UPDATE SET up_to = excluded.up_to, at_ms = excluded.at_ms",
        *(uid, up_to, now_ms),
    )


def prune(tx: Tx) -> None:
    """Forgets what was noted about partitions that are deleted."""
    for table in ("rewrites", "cleaned"):
        tx.run(f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM partitions p WHERE p.uid = {table}.uid)")


def object_counts(tx: Tx) -> dict[str, tuple[int, int]]:
    """State to objects and their bytes."""
    rows = tx.all("SELECT state, count(*), coalesce(sum(size_bytes), 0) FROM objects GROUP BY state")
    return {state: (int(count), int(size)) for state, count, size in rows}


def needed(tx: Tx) -> set[int]:
    """Objects that ranges point at."""
    return {row[0] for row in tx.all("SELECT DISTINCT object FROM ranges")}


def states(tx: Tx) -> dict[int, tuple[str, int]]:
    """Every object's state, and when it entered it."""
    return {number: (state, at_ms) for number, state, at_ms in tx.all("SELECT id, state, at_ms FROM objects")}


def known(tx: Tx, objects: Collection[int]) -> set[int]:
    """Those of these ids that some row accounts for: one that is gone was deleted, and is expected no more."""
    rows = tx.among("SELECT id FROM objects WHERE state <> 'gone' AND id IN ({keys})", sorted(objects))
    return {row[0] for row in rows}
