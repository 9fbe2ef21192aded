"""The seam between the cluster's truth and the SQL engine that keeps it: SQLite on one host, PostgreSQL on many.

Both kinds keep the same contract (tests/broker/metadata runs on both):

1. A job (`work(tx)`) is a plain function, so that it reads the same on both. It runs in a thread, may be run again when
   a neighbour in its group fails, and so changes nothing but the transaction.
2. All writing transactions of a cluster run one after the other; each sees all that were answered before it. A job that
   fails is undone alone, whatever it raised.
3. An answer is given only after the commit is durable. MetadataUnavailable says that it may have happened or not: who
   asks again must be safe to repeat.
4. Every group that changed something readers' images show increments the version last and says what changed (law 9).
5. A read sees one snapshot, which holds everything answered before the read began.

SQL is written once, for both: `?` placeholders, `ON CONFLICT`, `RETURNING`, columns named in every INSERT (so that a
newer broker may add some), "offset" quoted, 0 and 1 for booleans, no function that only one of them has.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from broker.errors import CoordinatorNotAvailable, KafkaError, KafkaStorageError

Result = TypeVar("Result")
Item = TypeVar("Item")

KEPT_CHANGES = 2_000
"""Versions a reader may fall behind before it loads everything again."""


class MetadataUnavailable(KafkaStorageError):
    """The metadata store could not be read or written; a write may have happened all the same, so it may be repeated
    only where repeating is harmless.
    """


@contextlib.asynccontextmanager
async def retriable() -> AsyncIterator[None]:
    """While the store is away, coordinators' clients are told to ask again: a storage error would end them (law 9)."""
    try:
        yield
    except KafkaStorageError as error:
        raise CoordinatorNotAvailable(error.message) from error


class Changes:
    """What a group changed, each thing once, in order."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], None] = {}

    def add(self, kind: str, key: object) -> None:
        self._seen[kind, str(key)] = None

    def merge(self, other: Changes) -> None:
        self._seen.update(other._seen)

    def rows(self) -> list[tuple[str, str]]:
        return list(self._seen)


class Tx(Protocol):
    """One job's view of the transaction: SQL, and what to tell the other brokers."""

    changes: Changes

    def run(self, sql: str, *arguments: Any) -> int:
        """The number of rows it touched."""

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """The statement once per row, sent together: 500 rows cost about what one costs."""

    def one(self, sql: str, *arguments: Any) -> Any:
        """The first row as a tuple, or None."""

    def all(self, sql: str, *arguments: Any) -> list[Any]:
        """Every row as a tuple."""

    def among(self, sql: str, keys: Iterable[Any], *arguments: Any) -> list[Any]:
        """The rows of a statement that says `IN ({keys})` once, however many keys; in no order."""

    def changed(self, kind: str, key: object = "") -> None:
        """Tells readers which part of their image to load again."""
        self.changes.add(kind, key)


Together = Callable[[Tx, Sequence[Item]], Sequence[KafkaError | None]]
"""Work on many callers' items at once; per item what was refused, or None."""


class Database(Protocol):
    """One store of metadata: `read` runs beside `write`, never behind it, and the event loop waits for neither."""

    async def start(self, cluster_id: str) -> None:
        """Creates or migrates the tables, and at first the cluster's own row."""

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        """Runs `work` in a durable transaction; what it raises undoes it alone."""

    async def write_together(self, work: Together[Item], item: Item) -> None:
        """Like `write`, but neighbours in the queue with the same `work` are handed to one call of it."""

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """Runs `work` on one consistent snapshot."""

    def on_change(self, nudge: Callable[[], None]) -> None:
        """Calls `nudge` on the event loop when another broker changed the image, where the store can tell at once."""

    async def close(self) -> None:
        """Finishes what was queued, then lets go of the store."""
