"""Topics, partitions, configs and reassignments, as transactions on SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from broker.errors import (
    InvalidPartitions,
    InvalidReplicaAssignment,
    InvalidReplicationFactor,
    TopicAlreadyExists,
    UnknownTopicOrPartition,
)
from broker.ids import Entropy, new_uid, new_uuid
from broker.metadata import doomed
from broker.metadata.database import Tx
from broker.metadata.image import INTERNAL, NOBODY
from broker.metadata.picture import BROKERS, CONFIGS, TOPIC

OFFSETS_PARTITIONS = TRANSACTIONS_PARTITIONS = 50
MAX_PARTITIONS = 10_000
"""Of one topic: what a cluster of three is built for (law 12)."""

Assignments = Mapping[int, Sequence[int]]
"""Partition index to its replicas, the preferred owner first."""


def create_topic(
    tx: Tx,
    entropy: Entropy,
    name: str,
    partitions: int,
    replication_factor: int,
    assignments: Assignments | None,
    configs: Mapping[str, str],
) -> UUID:
    """A new topic, its partitions owned and open from the first moment."""
    if tx.one("SELECT 1 FROM topics WHERE name = ?", name):
        raise TopicAlreadyExists(f"topic {name} exists")
    if replication_factor < 1 and replication_factor != -1:
        raise InvalidReplicationFactor(f"replication factor {replication_factor} of {name}: give 1 or more")
    topic_id = new_uuid(entropy)
    internal = int(name in INTERNAL)
    tx.run("INSERT INTO topics(id, name, internal) VALUES (?, ?, ?)", topic_id.bytes, name, internal)
    _put_configs(tx, "topic", name, configs)
    total = len(assignments) if assignments else partitions
    _grow(tx, entropy, topic_id, name, range(total), max(replication_factor, 1), assignments)
    return topic_id


def add_partitions(tx: Tx, entropy: Entropy, name: str, total: int, assignments: Assignments | None) -> UUID:
    """Grows a topic to `total` partitions, with as many replicas as its first partition has."""
    topic_id = _topic_id(tx, name)
    rows = tx.all("SELECT replicas FROM partitions WHERE topic_id = ?", topic_id.bytes)
    if total <= len(rows):
        raise InvalidPartitions(f"topic {name} has {len(rows)} partitions; it can only grow, and {total} was asked for")
    factor = len(json.loads(rows[0][0]))
    _grow(tx, entropy, topic_id, name, range(len(rows), total), factor, assignments)
    return topic_id


def _grow(
    tx: Tx,
    entropy: Entropy,
    topic_id: UUID,
    name: str,
    indexes: range,
    factor: int,
    assignments: Assignments | None,
) -> None:
    if not 0 < indexes.stop <= MAX_PARTITIONS:
        raise InvalidPartitions(f"{indexes.stop} partitions of {name}: give 1 to {MAX_PARTITIONS}")
    if assignments is not None and set(assignments) != set(indexes):
        raise InvalidReplicaAssignment(f"assignments of {name} must name partitions {indexes.start} to {indexes[-1]}")
    placed = _known(tx, {i: assignments[i] for i in indexes}) if assignments else _spread(tx, indexes, factor)
    epochs: dict[int, int] = dict(tx.all("SELECT id, epoch FROM brokers WHERE alive = 1"))
    rows, opened = [], []
    for index, replicas in placed.items():
        uid = new_uid(entropy)
        owner = next((broker for broker in replicas if broker in epochs), NOBODY)
        rows.append((uid, topic_id.bytes, index, owner, json.dumps(replicas)))
        if owner != NOBODY:
            opened.append((uid, owner, epochs[owner]))
    tx.many(
        "INSERT INTO partitions(uid, topic_id, idx, owner, replicas, epoch, log_start, log_end, size_bytes, producers)"
        " VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, x'')",
        rows,
    )
    tx.many("INSERT INTO epochs(uid, epoch, broker, broker_epoch, start) VALUES (?, 0, ?, ?, 0)", opened)
    tx.changed(TOPIC, topic_id.hex)


def _known(tx: Tx, assignments: Assignments) -> dict[int, list[int]]:
    """The assignments as given, when each replica is a broker of this cluster and none is named twice."""
    known = {row[0] for row in tx.all("SELECT id FROM brokers")}
    for replicas in assignments.values():
        if not replicas or len(set(replicas)) != len(replicas):
            raise InvalidReplicaAssignment(f"replicas {list(replicas)}: name each broker once, and at least one")
        if unknown := [broker for broker in replicas if broker not in known]:
            raise InvalidReplicaAssignment(f"no broker {unknown[0]} in this cluster; it has {sorted(known)}")
    return {index: list(replicas) for index, replicas in assignments.items()}


def _spread(tx: Tx, indexes: range, factor: int) -> dict[int, list[int]]:
    """Round robin, starting with the broker that owns the least; further replicas one per zone while zones last."""
    rows = tx.all(
        "SELECT b.id, b.zone, (SELECT count(*) FROM partitions p WHERE p.owner = b.id) AS owned FROM brokers b"
        " WHERE b.alive = 1 AND b.cordoned = 0 ORDER BY b.id"
    )
    if not rows:
        return {index: [] for index in indexes}
    ids = [row[0] for row in rows]
    zones = {row[0]: row[1] for row in rows}
    first = ids.index(min(rows, key=lambda row: (row[2], row[0]))[0])
    return {index: _replicas(ids, zones, first + n, factor) for n, index in enumerate(indexes)}


def _replicas(ids: list[int], zones: Mapping[int, str | None], turn: int, factor: int) -> list[int]:
    ring = [ids[(turn + step) % len(ids)] for step in range(len(ids))]
    chosen, seen = [ring[0]], {zones[ring[0]]}
    for broker in ring[1:]:
        if zones[broker] not in seen:
            chosen.append(broker)
            seen.add(zones[broker])
    chosen += [broker for broker in ring if broker not in chosen]
    return chosen[:factor]


def delete_topic(tx: Tx, which: str | UUID, now_ms: int) -> UUID:
    """The topic and everything under it; objects with nothing else in them are marked for the sweeper."""
    topic_id = _topic_id(tx, which)
    (name,) = tx.one("SELECT name FROM topics WHERE id = ?", topic_id.bytes)
    uids = [row[0] for row in tx.all("SELECT uid FROM partitions WHERE topic_id = ?", topic_id.bytes)]
    objects = {row[0] for row in tx.among("DELETE FROM ranges WHERE uid IN ({keys}) RETURNING object", uids)}
    tx.among("DELETE FROM epochs WHERE uid IN ({keys})", uids)
    mark_unreferenced(tx, objects, now_ms)
    for table in ("partitions", "offsets", "txn_offsets", "txn_partitions", "share_partitions"):
        tx.run(f"DELETE FROM {table} WHERE topic_id = ?", topic_id.bytes)
    tx.run("DELETE FROM configs WHERE kind = 'topic' AND name = ?", name)
    tx.run("DELETE FROM topics WHERE id = ?", topic_id.bytes)
    tx.changed(TOPIC, topic_id.hex)
    return topic_id


def mark_unreferenced(tx: Tx, objects: Collection[int], now_ms: int) -> None:
    """Marks those objects that no range points at any more (law 8)."""
    tx.among(
        "UPDATE objects SET state = 'marked', at_ms = ? WHERE id IN ({keys}) AND state = 'committed'"
        " AND NOT EXISTS (SELECT 1 FROM ranges r WHERE r.object = objects.id)",
        *(objects, now_ms),
    )


def alter_configs(tx: Tx, kind: str, name: str, put: Mapping[str, str], delete: Collection[str]) -> None:
    """Sets and removes keys of one topic, one broker, or (broker with an empty name) the whole cluster."""
    if kind == "topic":
        _topic_id(tx, name)
    tx.many("DELETE FROM configs WHERE kind = ? AND name = ? AND key = ?", [(kind, name, key) for key in delete])
    _put_configs(tx, kind, name, put)
    tx.changed(CONFIGS)


def _put_configs(tx: Tx, kind: str, name: str, put: Mapping[str, str]) -> None:
    tx.many(
        "INSERT INTO configs(kind, name, key, value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (kind, name, key) DO UPDATE SET value = excluded.value",
        [(kind, name, key, value) for key, value in put.items()],
    )


def cordon(tx: Tx, broker: int, on: bool) -> None:
    """A cordoned broker keeps what it owns and gets nothing new."""
    doomed.disown(tx, broker)
    tx.run("UPDATE brokers SET cordoned = ? WHERE id = ?", int(on), broker)
    tx.changed(BROKERS)


def _topic_id(tx: Tx, which: str | UUID) -> UUID:
    column, key = ("name", which) if isinstance(which, str) else ("id", which.bytes)
    row = tx.one(f"SELECT id FROM topics WHERE {column} = ?", key)
    if row is None:
        raise UnknownTopicOrPartition(f"no topic {which}")
    return UUID(bytes=row[0])
