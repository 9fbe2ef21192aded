"""Users' SCRAM credentials in SQL. A password is never here: only what recognizes who knows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from broker.errors import UnacceptableCredential
from broker.metadata.database import Tx
from broker.metadata.image import ScramCredential

SCRAM = "scram"
"""The kind of change under which brokers load them again."""
MAX_USERS = 10_000
"""Credentials of one cluster: every broker holds them all (law 12)."""
User = tuple[str, int]
"""Name and mechanism."""


def load_scram(tx: Tx) -> Mapping[User, ScramCredential]:
    rows = tx.all("SELECT name, mechanism, salt, iterations, stored_key, server_key FROM scram")
    return MappingProxyType(
        {
            (name, mechanism): ScramCredential(
                salt=bytes(salt), iterations=iterations, stored_key=bytes(stored), server_key=bytes(server)
            )
            for name, mechanism, salt, iterations, stored, server in rows
        }
    )


def alter_scram(tx: Tx, put: Mapping[User, ScramCredential], delete: Collection[User], *, replace: bool = True) -> None:
    """Sets and removes credentials; without `replace`, one that is there stays as it is."""
    (now,) = tx.one("SELECT count(*) FROM scram")
    if now + len(put) > MAX_USERS:
        raise UnacceptableCredential(f"{now} credentials exist; a cluster has at most {MAX_USERS}")
    tx.many("DELETE FROM scram WHERE name = ? AND mechanism = ?", list(delete))
    new = (
        "UPDATE SET salt = excluded.salt, iterations = excluded.iterations, stored_key = excluded.stored_key,"
        " server_key = excluded.server_key"
    )
    tx.many(
        "INSERT INTO scram(name, mechanism, salt, iterations, stored_key, server_key) VALUES (?, ?, ?, ?, ?, ?)"
        f" ON CONFLICT (name, mechanism) DO {new if replace else 'NOTHING'}",
        [(*user, one.salt, one.iterations, one.stored_key, one.server_key) for user, one in put.items()],
    )
    tx.changed(SCRAM)
