"""A broker whose machine will be taken away: its cordon, and how that ends with the machine.

A row in `doomed` says that the notice brought the cordon. The next registration under the id, which is that of another
machine as a rule, lifts it; a cordon that a person set before, or sets since, has no row and stays.
"""

from __future__ import annotations

from broker.errors import EligibleLeadersNotAvailable
from broker.metadata import moves
from broker.metadata.database import Tx
from broker.metadata.picture import BROKERS


def leave(tx: Tx, broker: int) -> int:
    """Cordons the broker and sends everything it owns to others; how many partitions. May be said again and again.

    EligibleLeadersNotAvailable, and nothing changes, when there is no other broker to be had: then this one goes on.
    """
    others = tx.one("SELECT count(*) FROM brokers WHERE alive = 1 AND cordoned = 0 AND id <> ?", broker)
    if not others[0]:
        raise EligibleLeadersNotAvailable("no other broker is alive and not cordoned")
    ours = is_doomed(tx, broker) or not _is_cordoned(tx, broker)
    partitions = moves.drain(tx, broker)
    if ours and not is_doomed(tx, broker):
        tx.run("INSERT INTO doomed(broker) VALUES (?)", broker)
    return partitions


def stay(tx: Tx, broker: int) -> bool:
    """Lifts the cordon where a notice brought it; whether it did."""
    if not is_doomed(tx, broker):
        return False
    tx.run("DELETE FROM doomed WHERE broker = ?", broker)
    tx.run("UPDATE brokers SET cordoned = 0 WHERE id = ?", broker)
    tx.changed(BROKERS)
    return True


def is_doomed(tx: Tx, broker: int) -> bool:
    """Whether a notice brought its cordon."""
    return tx.one("SELECT 1 FROM doomed WHERE broker = ?", broker) is not None


def disown(tx: Tx, broker: int) -> None:
    """A person decides about the cordon from here on."""
    tx.run("DELETE FROM doomed WHERE broker = ?", broker)


def _is_cordoned(tx: Tx, broker: int) -> bool:
    return tx.one("SELECT 1 FROM brokers WHERE id = ? AND cordoned = 1", broker) is not None
