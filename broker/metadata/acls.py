"""ACLs in SQL: each a row of what it says, so that the same one twice is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from broker.errors import InvalidRequest
from broker.metadata.database import Tx
from broker.metadata.image import Acl

ACLS = "acls"
"""The kind of change under which brokers load them again."""
MAX_ACLS = 10_000
"""Of one cluster: every broker holds them all (law 12)."""
_COLUMNS = "resource_type, name, pattern, principal, host, operation, permission"


def load_acls(tx: Tx) -> tuple[Acl, ...]:
    """All of them, in a fixed order."""
    return tuple(
        Acl(
            resource_type=kind,
            name=name,
            pattern=pattern,
            principal=principal,
            host=host,
            operation=operation,
            permission=permission,
        )
        for kind, name, pattern, principal, host, operation, permission in tx.all(
            f"SELECT {_COLUMNS} FROM acls ORDER BY {_COLUMNS}"
        )
    )


def create_acls(tx: Tx, acls: Collection[Acl]) -> None:
    """Adds those that are not there yet."""
    (now,) = tx.one("SELECT count(*) FROM acls")
    if now + len(acls) > MAX_ACLS:
        raise InvalidRequest(f"{now} ACLs exist and {len(acls)} were to be added; a cluster has at most {MAX_ACLS}")
    tx.many(
        f"INSERT INTO acls({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT ({_COLUMNS}) DO NOTHING",
        [_row(acl) for acl in acls],
    )
    tx.changed(ACLS)


def delete_acls(tx: Tx, filters: Sequence[Callable[[Acl], bool]]) -> list[list[Acl]]:
    """Deletes what any of the filters takes; per filter, what it took."""
    there = load_acls(tx)
    found = [[acl for acl in there if takes(acl)] for takes in filters]
    gone = {acl for some in found for acl in some}
    tx.many(
        "DELETE FROM acls WHERE resource_type = ? AND name = ? AND pattern = ? AND principal = ? AND host = ?"
        " AND operation = ? AND permission = ?",
        [_row(acl) for acl in gone],
    )
    if gone:
        tx.changed(ACLS)
    return found


def _row(acl: Acl) -> tuple[int | str, ...]:
    return (acl.resource_type, acl.name, acl.pattern, acl.principal, acl.host, acl.operation, acl.permission)
