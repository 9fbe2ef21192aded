"""The start of a log moves up, by retention or because a client said so; never down."""

from __future__ import annotations

from broker.errors import NotLeaderOrFollower
from broker.metadata.database import Tx
from broker.metadata.topics import mark_unreferenced


def raise_start(tx: Tx, uid: int, epoch: int, start: int, now_ms: int) -> int:
    """Forgets what lies below `start`, which may be inside a range: that one stays, whole; the bytes that freed.

    NotLeaderOrFollower when the leadership is over.
    """
    if tx.one("SELECT 1 FROM epochs WHERE uid = ? AND epoch = ? AND end_ IS NULL", uid, epoch) is None:
        raise NotLeaderOrFollower(f"leader epoch {epoch} of partition {uid:x} is over")
    rows = tx.all("SELECT object, size_bytes FROM ranges WHERE uid = ? AND end_ <= ?", uid, start)
    freed = sum(row[1] for row in rows)
    tx.run("DELETE FROM ranges WHERE uid = ? AND end_ <= ?", uid, start)
    tx.run("UPDATE partitions SET size_bytes = size_bytes - ? WHERE uid = ?", freed, uid)
    tx.run("UPDATE partitions SET log_start = ? WHERE uid = ? AND log_start < ?", start, uid, start)
    mark_unreferenced(tx, {row[0] for row in rows}, now_ms)
    return int(freed)
