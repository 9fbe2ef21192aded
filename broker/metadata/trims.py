"""What SQL knows of WALs that have no lock: which broker epochs live, and below what their slots are not needed."""

from __future__ import annotations

from collections.abc import Collection

from broker.metadata.database import Tx


def lives(tx: Tx, broker: int, epoch: int) -> bool:
    """Whether that broker epoch is registered and was not declared dead."""
    return tx.one("SELECT 1 FROM brokers WHERE id = ? AND epoch = ? AND alive = 1", broker, epoch) is not None


def unfinished_epochs(tx: Tx, broker: int, up_to: int) -> list[int]:
    """Epochs of a broker, none above `up_to`, that left a range open: those whose WAL a recovery must read."""
    rows = tx.all(
        "SELECT DISTINCT broker_epoch FROM epochs WHERE broker = ? AND broker_epoch <= ? AND end_ IS NULL"
        " ORDER BY broker_epoch",
        *(broker, up_to),
    )
    return [row[0] for row in rows]


def trim_point(tx: Tx, broker: int, epoch: int) -> int:
    row = tx.one("SELECT sequence FROM wal_trims WHERE broker = ? AND epoch = ?", broker, epoch)
    return int(row[0]) if row else 0


def record_trim(tx: Tx, broker: int, epoch: int, sequence: int) -> None:
    """Raises it; a lower one changes nothing."""
    tx.run(
        "INSERT INTO wal_trims(broker, epoch, sequence) VALUES (?, ?, ?)"
        " ON CONFLICT (broker, epoch) DO UPDATE SET sequence = excluded.sequence"
        " WHERE excluded.sequence > wal_trims.sequence",
        *(broker, epoch, sequence),
    )


def needed(tx: Tx) -> tuple[int, dict[tuple[int, int], int]]:
    """The newest broker epoch there is, and the trim points of those whose slots may still be read or written: the live
    ones, and those with a range left open.
    """
    (newest,) = tx.one("SELECT next_broker_epoch FROM cluster")
    points = recorded(tx)
    living = tx.all("SELECT id, epoch FROM brokers WHERE alive = 1")
    unfinished = tx.all("SELECT DISTINCT broker, broker_epoch FROM epochs WHERE end_ IS NULL")
    return int(newest), {(row[0], row[1]): points.get((row[0], row[1]), 0) for row in (*living, *unfinished)}


def recorded(tx: Tx) -> dict[tuple[int, int], int]:
    """Every trim point there is, by broker and epoch."""
    return {(row[0], row[1]): row[2] for row in tx.all("SELECT broker, epoch, sequence FROM wal_trims")}


def forget(tx: Tx, settled: Collection[tuple[int, int]]) -> None:
    """Drops the trim points of these broker epochs, except of those that are needed after all."""
    _, needed_from = needed(tx)
    tx.many("DELETE FROM wal_trims WHERE broker = ? AND epoch = ?", sorted(set(settled) - needed_from.keys()))


def heart(tx: Tx, broker: int) -> tuple[int, int] | None:
    """(epoch, heartbeat counter) of a broker that counts as alive."""
    row = tx.one("SELECT epoch, heartbeat FROM brokers WHERE id = ? AND alive = 1", broker)
    return (row[0], row[1]) if row else None
