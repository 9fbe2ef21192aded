"""Who is who: a series' cluster, target, name and labels, and the number that stands for them in every sample.

A number is looked up by a 128-bit digest, so that a million series are known in under 200 MB. Numbers are given out in
order, never again to another series, and written before or with the first samples that use them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime

import duckdb
import numpy as np

from agent.store.batch import instant, objects

Labels = tuple[tuple[str, str], ...]
MOST_PENDING = 20_000
"""New series that wait for their round; more are written ahead of it."""
DDL = (
    "CREATE TABLE IF NOT EXISTS series(id INTEGER, cluster VARCHAR, target VARCHAR, name VARCHAR, "
    "labels MAP(VARCHAR, VARCHAR), first_ts TIMESTAMPTZ)"
)
_PIECE = "concat(strlen({0}), ':', {0})"
DIGEST = (
    f"unhex(md5(concat({_PIECE.format('cluster')}, {_PIECE.format('target')}, {_PIECE.format('name')}, "
    "array_to_string(list_transform(map_entries(labels), lambda e: concat("
    f"{_PIECE.format('e.key')}, {_PIECE.format('e.value')})), ''))))"
)
"""The digest as SQL, of a row of `series`; `digest` is the same in Python."""


class Identities:
    """The numbers of one store. Its owner holds a lock around every call."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._of: Counter[str] = Counter()
        self._pending: list[tuple[int, str, str, str, Labels]] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, cluster: str) -> int:
        """How many series a cluster has."""
        return self._of[cluster]

    @property
    def pending(self) -> int:
        """How many are not written yet."""
        return len(self._pending)

    def find(self, cluster: str, target: str, name: str, labels: Labels) -> int | None:
        return self._numbers.get(digest(cluster, target, name, labels))

    def add(self, cluster: str, target: str, name: str, labels: Labels) -> int:
        """A number for a series that has none."""
        number = self._numbers[digest(cluster, target, name, labels)] = self._next
        self._next += 1
        self._of[cluster] += 1
        self._pending.append((number, cluster, target, name, labels))
        return number

    def load(self, connection: duckdb.DuckDBPyConnection, least: int = 0) -> None:
        """Takes over what the database knows; what was pending is given numbers again, and none below `least`."""
        cursor = connection.execute(f"SELECT id, {DIGEST} FROM series")
        self._numbers = {}
        while rows := cursor.fetchmany(10_000):
            self._numbers.update((key, id) for id, key in rows)
        self._next = max(least, max(self._numbers.values(), default=-1) + 1)
        self._of = Counter(dict(connection.execute("SELECT cluster, count(*) FROM series GROUP BY 1").fetchall()))
        pending, self._pending = self._pending, []
        for _, cluster, target, name, labels in pending:
            if self.find(cluster, target, name, labels) is None:
                self.add(cluster, target, name, labels)

    def forget_pending(self) -> None:
        self._pending = []

    def insert(self, connection: duckdb.DuckDBPyConnection, at: datetime) -> int:
        """Writes what is pending, and says how many; `written` makes them forgotten once that is committed."""
        for start in range(0, len(self._pending), MOST_PENDING):
            self._insert(connection, at, self._pending[start : start + MOST_PENDING])
        return len(self._pending)

    def written(self, count: int) -> None:
        del self._pending[:count]

    def _insert(
        self, connection: duckdb.DuckDBPyConnection, at: datetime, rows: list[tuple[int, str, str, str, Labels]]
    ) -> None:
        ids, clusters, targets, names, labels = zip(*rows, strict=True)
        incoming = {
            "id": np.array(ids, dtype=np.int32),
            "cluster": objects(list(clusters)),
            "target": objects(list(targets)),
            "name": objects(list(names)),
            "keys": objects([[name for name, _ in each] for each in labels]),
            "values": objects([[value for _, value in each] for each in labels]),
        }
        connection.register("incoming", incoming)
        connection.execute(
            "INSERT INTO series SELECT id, cluster, target, name, map(keys::VARCHAR[], values::VARCHAR[]), "
            "timezone('UTC', ?::TIMESTAMP) FROM incoming",
            [str(instant(at))],
        )
        connection.unregister("incoming")


def digest(cluster: str, target: str, name: str, labels: Labels) -> bytes:
    """Every piece with its length in front, so that no two series read alike."""
    pieces = [cluster, target, name]
    for label in labels:
        pieces += label
    encoded = [piece.encode("utf-8", "surrogatepass") for piece in pieces]
    return hashlib.md5(b"".join(b"%d:%s" % (len(piece), piece) for piece in encoded), usedforsecurity=False).digest()
