"""SQLite in threads of its own: one that writes, one that reads, and the event loop that never waits for either (law
14).

1. Writers queue fairly. SQLite's own busy waiting starves one of three processes for seconds, so a writer first takes a
   `flock` ticket, which the kernel hands on in order of arrival. A ticket whose holder is stopped for 2 s is taken from
   it (holder.py).
2. Writes of one process are committed in groups: whatever queued while the last commit was synced goes into one
   transaction, each job in a savepoint, so that a refused job fails alone. That makes 500 small commits cost about one
   fsync.
3. Every group that changed something readers' images show increments the version last and says what changed (law 9).
4. An answer is given only after COMMIT returned with synchronous=FULL.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from broker.errors import KafkaError, KafkaStorageError
from broker.wal.holder import kill_if_stopped, write_holder

Result = TypeVar("Result")

GROUP_JOBS = 256
"""Jobs in one transaction at most, so that no job waits behind an endless group."""
QUEUE_JOBS = 20_000
"""Jobs waiting at most (law 12); one more is refused with a retriable error."""
STOPPED_HOLDER_S = 2.0


class MetadataUnavailable(KafkaStorageError):
    """The metadata store could not be read or written; nothing happened, so the client may retry."""


class Tx:
    """One job's view of the transaction: SQL, and what to tell the other brokers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changes: list[tuple[str, str]] = []

    def run(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, arguments)

    def many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *arguments: Any) -> Any:
        """The first row, or None."""
        return self._connection.execute(sql, arguments).fetchone()

    def all(self, sql: str, *arguments: Any) -> list[Any]:
        return self._connection.execute(sql, arguments).fetchall()

    def changed(self, kind: str, key: object = "") -> None:
        """Tells readers which part of their image to load again."""
        change = (kind, str(key))
        if change not in self.changes:
            self.changes.append(change)


@dataclass(frozen=True, kw_only=True)
class _Job(Generic[Result]):
    work: Callable[[Tx], Result]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Result]


class Database:
    """One SQLite file, opened twice: `read` runs beside `write`, never behind it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._ticket = path.with_name(path.name + ".lock")
        self._jobs: queue.Queue[_Job[Any] | None] = queue.Queue(QUEUE_JOBS)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="metadata-read")
        self._reader: sqlite3.Connection | None = None
        self._writer = threading.Thread(target=self._write_for_ever, name="metadata-write", daemon=True)
        self._closed = False

    def start(self, schema: Callable[[sqlite3.Connection], None]) -> None:
        """Creates or migrates the file under the ticket, then starts the writer. Blocking: run in a thread."""
        with _Ticket(self._ticket):
            connection = connect(self.path)
            try:
                schema(connection)
            finally:
                connection.close()
        self._writer.start()

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        """Runs `work` in a durable transaction; a KafkaError it raises undoes it alone."""
        if self._closed:
            raise MetadataUnavailable("the metadata store is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work=work, loop=loop, done=loop.create_future())
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise MetadataUnavailable(f"{QUEUE_JOBS} metadata writes are waiting: retry") from None
        result: Result = await job.done
        return result

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """Runs `work` on one consistent snapshot."""
        if self._closed:
            raise MetadataUnavailable("the metadata store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(work))

    def _read(self, work: Callable[[Tx], Result]) -> Result:
        try:
            if self._reader is None:
                self._reader = connect(self.path)
            self._reader.execute("BEGIN")
            try:
                return work(Tx(self._reader))
            finally:
                self._reader.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise MetadataUnavailable(f"cannot read {self.path}: {error}") from error

    async def close(self) -> None:
        """Finishes what was queued, then closes both connections."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        if self._writer.is_alive():
            await loop.run_in_executor(None, self._jobs.put, None)
            await loop.run_in_executor(None, self._writer.join)
        await loop.run_in_executor(self._readers, self._close_reader)
        self._readers.shutdown(wait=False)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _write_for_ever(self) -> None:
        connection: sqlite3.Connection | None = None
        while (group := self._gather()) is not None:
            try:
                connection = connection or connect(self.path)
                with _Ticket(self._ticket):
                    answers = _commit(connection, group)
            except (sqlite3.Error, OSError) as error:
                fault = MetadataUnavailable(f"cannot write {self.path}: {error}")
                answers = [(job, None, fault) for job in group]
                connection = _rolled_back(connection)
            for job, result, failure in answers:
                _settle(job, result, failure)
        if connection is not None:
            connection.close()

    def _gather(self) -> list[_Job[Any]] | None:
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP_JOBS:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group


def connect(path: Path) -> sqlite3.Connection:
    """A connection that syncs each commit and leaves transactions to us."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _commit(
    connection: sqlite3.Connection, group: list[_Job[Any]]
) -> list[tuple[_Job[Any], Any, BaseException | None]]:
    answers: list[tuple[_Job[Any], Any, BaseException | None]] = []
    changes: list[tuple[str, str]] = []
    connection.execute("BEGIN IMMEDIATE")
    for job in group:
        tx = Tx(connection)
        connection.execute("SAVEPOINT job")
        try:
            answers.append((job, job.work(tx), None))
            changes.extend(change for change in tx.changes if change not in changes)
        except sqlite3.OperationalError:
            raise
        except Exception as error:
            connection.execute("ROLLBACK TO job")
            answers.append((job, None, error))
        connection.execute("RELEASE job")
    _bump(connection, changes)
    connection.execute("COMMIT")
    return answers


def _bump(connection: sqlite3.Connection, changes: list[tuple[str, str]]) -> None:
    """Law 9: the version row last, with what changed."""
    if not changes:
        return
    (version,) = connection.execute("UPDATE version SET version = version + 1 RETURNING version").fetchone()
    connection.executemany(
        "INSERT INTO changes(version, kind, key) VALUES (?, ?, ?)", [(version, kind, key) for kind, key in changes]
    )
    connection.execute("DELETE FROM changes WHERE version < ?", (version - KEPT_CHANGES,))


KEPT_CHANGES = 2_000
"""Versions a reader may fall behind before it loads everything again."""


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


def _settle(job: _Job[Any], result: Any, failure: BaseException | None) -> None:
    def deliver() -> None:
        if job.done.done():
            return
        if failure is None:
            job.done.set_result(result)
        elif isinstance(failure, KafkaError):
            job.done.set_exception(failure)
        else:
            job.done.set_exception(MetadataUnavailable(f"a metadata change failed: {failure!r}"))

    try:
        job.loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the loop is closed: nobody waits for the answer any more


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
