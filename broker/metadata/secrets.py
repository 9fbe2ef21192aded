"""The secret by which brokers know each other: made once, by whoever comes first, and kept where only they can read."""

from __future__ import annotations

from broker.metadata.database import Tx

PEERS = "peers"
SECRET_BYTES = 32


def peers_secret(tx: Tx, fresh: bytes) -> bytes:
    """The cluster's secret for its inter-broker listeners; `fresh` becomes it when there is none yet."""
    tx.run("INSERT INTO secrets(name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", PEERS, fresh)
    return bytes(tx.one("SELECT value FROM secrets WHERE name = ?", PEERS)[0])
