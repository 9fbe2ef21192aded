"""Client quotas in SQL: per entity (a user, a client id, both, or an address) and key, a number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from broker.errors import InvalidRequest
from broker.metadata.database import Tx
from broker.metadata.image import Entity

QUOTAS = "quotas"
"""The kind of change under which brokers load them again."""
MAX_QUOTAS = 10_000
"""Of one cluster: every broker holds them all (law 12)."""
Change = tuple[Entity, str, float | None]
"""Entity, key and value; None removes it."""


def load_quotas(tx: Tx) -> Mapping[Entity, Mapping[str, float]]:
    found: dict[Entity, dict[str, float]] = {}
    for entity, key, value in tx.all("SELECT entity, key, value FROM quotas ORDER BY entity, key"):
        found.setdefault(_entity(entity), {})[key] = float(value)
    return MappingProxyType(found)


def alter_quotas(tx: Tx, changes: Sequence[Change]) -> None:
    (now,) = tx.one("SELECT count(*) FROM quotas")
    put = [(_text(entity), key, repr(value)) for entity, key, value in changes if value is not None]
    if now + len(put) > MAX_QUOTAS:
        raise InvalidRequest(f"{now} quotas exist; a cluster has at most {MAX_QUOTAS}")
    gone = [(_text(entity), key) for entity, key, value in changes if value is None]
    tx.many("DELETE FROM quotas WHERE entity = ? AND key = ?", gone)
    tx.many(
        "INSERT INTO quotas(entity, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (entity, key) DO UPDATE SET value = excluded.value",
        put,
    )
    tx.changed(QUOTAS)


def _text(entity: Entity) -> str:
    return json.dumps(dict(entity), sort_keys=True)


def _entity(text: str) -> Entity:
    return tuple(sorted(json.loads(text).items()))
