"""Metadata in one SQLite file, for brokers on one host: one thread writes, one reads, and the event loop never waits
for either (law 14).

1. Writers queue fairly. SQLite's own busy waiting starves one of three processes for seconds, so a writer first takes a
   `flock` ticket, which the kernel hands on in order of arrival. A ticket whose holder is stopped for 2 s is taken from
   it (holder.py).
2. Whatever queued while it waited for the ticket goes into one transaction, each unit in a savepoint.
3. An answer is given only after COMMIT returned with synchronous=FULL.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from broker.metadata.database import KEPT_CHANGES, Changes, Item, MetadataUnavailable, Together, Tx
from broker.metadata.dialect import numbered
from broker.metadata.jobs import Answer, Job, Jobs, Unit, settle, units
from broker.metadata.schema import birth, migrate
from broker.wal.holder import kill_if_stopped, write_holder

Result = TypeVar("Result")

STOPPED_HOLDER_S = 2.0
IN_SIZES = (1, 8, 64, 512)
"""Keys in one IN list; a list is filled up with its last key, so that few statements are ever compiled."""

_NOT_OURS = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE})
"""Primary codes that are the fault of a job; every other is the store's."""


class _Tx(Tx):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changes = Changes()

    def run(self, sql: str, *arguments: Any) -> int:
        return self._connection.execute(sql, arguments).rowcount

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *arguments: Any) -> Any:
        cursor = self._connection.execute(sql, arguments)
        row = cursor.fetchone()
        cursor.close()
        return row

    def all(self, sql: str, *arguments: Any) -> list[Any]:
        return self._connection.execute(sql, arguments).fetchall()

    def among(self, sql: str, keys: Iterable[Any], *arguments: Any) -> list[Any]:
        distinct = list(dict.fromkeys(keys))
        found: list[Any] = []
        for start in range(0, len(distinct), IN_SIZES[-1]):
            chunk = distinct[start : start + IN_SIZES[-1]]
            size = next(size for size in IN_SIZES if size >= len(chunk))
            chunk += chunk[-1:] * (size - len(chunk))
            found += self._connection.execute(_listed(sql, size, len(arguments)), (*arguments, *chunk)).fetchall()
        return found


def _listed(sql: str, keys: int, arguments: int) -> str:
    """`{keys}` spelt out as parameters numbered behind the others."""
    names = ",".join(f"?{arguments + number}" for number in range(1, keys + 1))
    return numbered(sql, "?").replace("{keys}", names)


class SqliteDatabase:
    """One SQLite file, opened twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ticket = path.with_name(path.name + ".lock")
        self._jobs = Jobs()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="metadata-read")
        self._reader: sqlite3.Connection | None = None
        self._writer = threading.Thread(target=self._write_for_ever, name="metadata-write", daemon=True)

    async def start(self, cluster_id: str) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._create, cluster_id)
        except (sqlite3.Error, OSError) as error:
            raise MetadataUnavailable(f"{error}; check the file and its disk, or give another") from error
        self._writer.start()

    def _create(self, cluster_id: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _Ticket(self._ticket):
            connection = connect(self.path)
            try:
                migrate(connection)
                for statement, arguments in birth(cluster_id):
                    connection.execute(statement, arguments)
            finally:
                connection.close()

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        return cast(Result, await self._jobs.ask(work))

    async def write_together(self, work: Together[Item], item: Item) -> None:
        await self._jobs.ask(work, item, together=True)

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        if self._jobs.closed:
            raise MetadataUnavailable("the metadata store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(work))

    def on_change(self, nudge: Callable[[], None]) -> None:
        """A file tells nobody: others' changes are found by the poll."""

    def _read(self, work: Callable[[Tx], Result]) -> Result:
        try:
            if self._reader is None:
                self._reader = connect(self.path)
            self._reader.execute("BEGIN")
            try:
                return work(_Tx(self._reader))
            finally:
                self._reader.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise MetadataUnavailable(f"cannot read {self.path}: {error}") from error

    async def close(self) -> None:
        if self._jobs.closed:
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._jobs.close)
        if self._writer.is_alive():
            await loop.run_in_executor(None, self._writer.join)
        await loop.run_in_executor(self._readers, self._close_reader)
        self._readers.shutdown(wait=False)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _write_for_ever(self) -> None:
        connection: sqlite3.Connection | None = None
        while (first := self._jobs.first()) is not None:
            group: list[Job] = []
            try:
                connection = connection or connect(self.path)
                with _Ticket(self._ticket):
                    group = self._jobs.rest(first)
                    answers = _commit(connection, units(group))
            except Exception as error:
                fault = MetadataUnavailable(f"cannot write {self.path}: {error}")
                answers = Unit(jobs=group or self._jobs.rest(first)).failed(fault)
                connection = _rolled_back(connection)
            settle(answers)
        if connection is not None:
            connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that syncs each commit and leaves transactions to us."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=10.0, cached_statements=512
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _commit(connection: sqlite3.Connection, waiting: list[Unit]) -> list[Answer]:
    changes, answers = Changes(), list[Answer]()
    connection.execute("BEGIN IMMEDIATE")
    for unit in waiting:
        answers += _run(connection, unit, changes)
    _bump(connection, changes)
    connection.execute("COMMIT")
    return answers


def _run(connection: sqlite3.Connection, unit: Unit, changes: Changes) -> list[Answer]:
    tx = _Tx(connection)
    connection.execute("SAVEPOINT job")
    try:
        answers = unit.run(tx)
        changes.merge(tx.changes)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and _primary_code(error) not in _NOT_OURS:
            raise
        connection.execute("ROLLBACK TO job")
        if len(unit.jobs) == 1:
            answers = unit.failed(error)
        else:
            answers = [answer for one in unit.split() for answer in _run(connection, one, changes)]
    connection.execute("RELEASE job")
    return answers


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's own code; an error of the module itself (a value it cannot bind) counts as the job's."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _bump(connection: sqlite3.Connection, changes: Changes) -> None:
    """Law 9: the version row last, with what changed."""
    rows = changes.rows()
    if not rows:
        return
    (version,) = connection.execute("UPDATE version SET version = version + 1 RETURNING version").fetchone()
    connection.executemany(
        "INSERT INTO changes(version, kind, key) VALUES (?, ?, ?)", [(version, kind, key) for kind, key in rows]
    )
    connection.execute("DELETE FROM changes WHERE version < ?", (version - KEPT_CHANGES,))


def _rolled_back(connection: sqlite3.Connection | None) -> sqlite3.Connection | None:
    """The connection, fit for the next group, or None when it must be opened again."""
    if connection is None:
        return None
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        connection.close()
        return None
    return connection


class _Ticket:
    """The right to write next, among processes, in order of arrival."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            watchdog = _Watchdog(self._path)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            finally:
                watchdog.stop()
        write_holder(self._fd)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class _Watchdog:
    """Looks every 2 s whether the holder of the ticket is stopped, and takes it from one that is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="metadata-ticket", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(STOPPED_HOLDER_S):
            kill_if_stopped(self._path)

    def stop(self) -> None:
        self._over.set()
