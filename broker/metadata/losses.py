"""The named destructive action: what a WAL that will never come back may have held is given up, and its partitions open
without it. Nothing else in the broker loses acknowledged records.
"""

from __future__ import annotations

from dataclasses import dataclass

from broker.errors import InvalidRequest
from broker.metadata.database import Tx
from broker.metadata.members import hand_out, successors
from broker.metadata.picture import DUTIES


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One partition that was opened without its WAL."""

    topic: str
    index: int
    epoch: int
    """The leader epoch that ended."""
    from_offset: int
    """Records that were acknowledged at this offset and above, under that epoch, are lost."""


def declare_lost(tx: Tx, broker: int) -> list[Loss]:
    """Closes every range that a dead broker left open at its committed end and finds owners; what may be lost.

    InvalidRequest while the broker counts as alive. Should its WAL come back after all, its records are void.
    """
    row = tx.one("SELECT alive FROM brokers WHERE id = ?", broker)
    if row is None or row[0]:
        state = "is not known here" if row is None else "is alive"
        raise InvalidRequest(f"broker {broker} {state}: only the WAL of a dead broker can be declared lost")
    rows = tx.all(
        "SELECT e.uid, e.epoch, p.log_end, t.name, p.idx FROM epochs e JOIN partitions p ON p.uid = e.uid"
        " JOIN topics t ON t.id = p.topic_id WHERE e.broker = ? AND e.end_ IS NULL ORDER BY t.name, p.idx",
        broker,
    )
    tx.many(
        "UPDATE epochs SET end_ = ? WHERE uid = ? AND epoch = ? AND end_ IS NULL",
        [(end, uid, epoch) for uid, epoch, end, _, _ in rows],
    )
    tx.run("DELETE FROM recoveries WHERE broker = ?", broker)
    tx.changed(DUTIES)
    hand_out(tx, [row[0] for row in rows], successors(tx, ()))
    return [Loss(topic=name, index=index, epoch=epoch, from_offset=end) for _, epoch, end, name, index in rows]
