"""What a restored copy of the metadata must be told before brokers may use it: that time has passed which it does not
know of.

Every counter that must never repeat jumps ahead of whatever the lost store may have given out: object ids above what
the bucket holds, broker epochs (WAL slots and sequences are named by them), leader epochs (clients refuse to go back),
producer ids, the controller's epoch and the version.
"""

from __future__ import annotations

from collections.abc import Collection

from broker.errors import KafkaStorageError
from broker.metadata.database import Tx

VERSIONS = 1_000_000
BROKER_EPOCHS = 100_000
LEADER_EPOCHS = 1_000
CONTROLLER_EPOCHS = 100_000
PRODUCER_IDS = 1_000_000_000
OBJECT_IDS = 1_000
"""Beyond the highest in the bucket: an upload that nobody waits for any more may still arrive under its old id."""
KEPT = "kept"
"""The state of an object that a restored copy knows nothing of: no sweeper touches it."""


def refuse_unless_empty(tx: Tx, where: str) -> None:
    """KafkaStorageError when a cluster lives there already: a restore never overwrites one."""
    (brokers,) = tx.one("SELECT next_broker_epoch FROM cluster")
    (topics,) = tx.one("SELECT count(*) FROM topics")
    if brokers or topics:
        (cluster,) = tx.one("SELECT id FROM cluster")
        raise KafkaStorageError(
            f"{where} holds cluster {cluster} with {topics} topics: move it away, or give an empty --metadata"
        )


def keep(tx: Tx, listed: Collection[tuple[int, int]], newest: int, now_ms: int) -> int:
    """Keeps the objects listed (id, bytes) of which this copy does not know what they are for: newer than its `newest`,
    or about to be committed when it was taken. Their records are the loss window, and somebody may want them. How many.
    """
    begun = {object_id for (object_id,) in tx.all("SELECT id FROM objects WHERE state = 'prepared'")}
    kept = [(object_id, size_bytes) for object_id, size_bytes in listed if object_id > newest or object_id in begun]
    tx.many("DELETE FROM objects WHERE id = ?", [(object_id,) for object_id, _ in kept if object_id in begun])
    tx.many(
        "INSERT INTO objects(id, state, broker, size_bytes, at_ms) VALUES (?, ?, -1, ?, ?)",
        [(object_id, KEPT, size_bytes, now_ms) for object_id, size_bytes in kept],
    )
    return len(kept)


def jump_ahead(tx: Tx, now_ms: int) -> None:
    """Moves every counter past what may have been used."""
    tx.run("UPDATE version SET version = version + ?", VERSIONS)
    tx.run("UPDATE controller SET broker = -1, broker_epoch = -1, epoch = epoch + ?", CONTROLLER_EPOCHS)
    tx.run(
        "UPDATE cluster SET next_producer_id = next_producer_id + ?, next_broker_epoch = next_broker_epoch + ?",
        *(PRODUCER_IDS, BROKER_EPOCHS),
    )
    tx.run("UPDATE partitions SET epoch = epoch + ?", LEADER_EPOCHS)
    (highest,) = tx.one("SELECT max(id) FROM objects")
    tx.run(
        "INSERT INTO objects(id, state, broker, size_bytes, at_ms) VALUES (?, ?, -1, 0, ?)",
        *((highest or 0) + OBJECT_IDS, KEPT, now_ms),
    )
