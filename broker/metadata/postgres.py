"""Metadata in PostgreSQL, for brokers on any number of hosts: one thread writes, one reads, each with a connection and
an event loop of its own, so that a job's statements read like SQLite's and the broker's loop never waits (law 14).

1. Writers queue for an advisory lock, which the server hands on in order of arrival: the same turns as on SQLite. READ
   COMMITTED then lets each statement see what the holder before committed.
2. A round trip costs more than a statement, so a group runs without savepoints. When a job fails that had written, the
   group is rolled back and run once more with a savepoint per unit: jobs change nothing but the transaction.
3. The version row comes last, together with the NOTIFY that spares other brokers the rest of their poll.
4. A broker that stops while it holds the lock holds it for 2 s: the server ends a session that idles in a transaction,
   and one that does not read its answer is ended by the next in the queue.
5. Every wait is bounded: to connect, for the lock, for a statement, for its answer. A connection that broke is opened
   again; when it broke during COMMIT nobody knows the outcome, and MetadataUnavailable says so.
6. Only a primary is written and read (`target_session_attrs`), and synchronous_commit is on whatever the server's
   default: what the primary then waits for is its own configuration.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from broker.clock import Clock
from broker.metadata.database import KEPT_CHANGES, Changes, Item, MetadataUnavailable, Together, Tx
from broker.metadata.dialect import for_postgres, schema_for_postgres
from broker.metadata.jobs import Answer, Job, Jobs, Unit, settle, units
from broker.metadata.pgsession import AWAY, CHANNEL, Session
from broker.metadata.schema import MIGRATIONS, birth
from broker.metadata.urls import shown

Result = TypeVar("Result")

LISTEN_RETRY_S = 2.0
LISTEN_CHECK_S = 30.0
"""How often the listening connection is asked whether it lives; until then the poll does without it."""

_LOCK = "SELECT pg_advisory_xact_lock(1397772109, hashtext(current_schema()))"
_BEGIN = f"BEGIN; {_LOCK}"
_BUMP = f"""
    WITH bumped AS (UPDATE version SET version = version + 1 RETURNING version),
    told AS (INSERT INTO changes(version, kind, key)
        SELECT bumped.version, new.kind, new.key FROM bumped, unnest($1::text[], $2::text[]) AS new(kind, key)),
    forgotten AS (DELETE FROM changes WHERE version < (SELECT bumped.version - {KEPT_CHANGES} FROM bumped))
    SELECT pg_notify('{CHANNEL}', '') FROM bumped
"""
"""Law 9 in one round trip."""


class _Tx(Tx):
    """Sends each statement and waits for its answer, on the thread that owns the session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.changes = Changes()
        self.wrote = False

    def run(self, sql: str, *arguments: Any) -> int:
        self.wrote = True
        return self._session.execute(for_postgres(sql, len(arguments)), arguments)

    def many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self.wrote = True
        if rows:
            self._session.execute_many(for_postgres(sql, len(rows[0])), rows)

    def one(self, sql: str, *arguments: Any) -> Any:
        rows = self.all(sql, *arguments)
        return rows[0] if rows else None

    def all(self, sql: str, *arguments: Any) -> list[Any]:
        self.wrote = self.wrote or not _only_reads(sql)
        return self._session.fetch(for_postgres(sql, len(arguments)), arguments)

    def among(self, sql: str, keys: Iterable[Any], *arguments: Any) -> list[Any]:
        self.wrote = self.wrote or not _only_reads(sql)
        if not (distinct := list(dict.fromkeys(keys))):
            return []
        return self._session.fetch(for_postgres(sql, len(arguments)), (*arguments, distinct))


def _only_reads(sql: str) -> bool:
    return sql.lstrip()[:6].upper() == "SELECT"


class PostgresDatabase:
    """One database on a PostgreSQL server: a session that writes, one that reads, one that listens."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url, self._shown, self._clock = url, shown(url), clock
        self._jobs = Jobs()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="metadata-read")
        self._reader = Session(url)
        self._session = Session(url)
        self._writer = threading.Thread(target=self._write_for_ever, name="metadata-write", daemon=True)
        self._listening: asyncio.Task[None] | None = None

    async def start(self, cluster_id: str) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._create, cluster_id)
        except AWAY as error:
            raise MetadataUnavailable(f"{_said(error)}; check the address, the database and the server") from error
        self._writer.start()

    def _create(self, cluster_id: str) -> None:
        session = self._session
        session.open()
        session.script(_BEGIN)
        session.script("CREATE TABLE IF NOT EXISTS schema_version(version BIGINT NOT NULL)")
        rows = session.fetch("SELECT version FROM schema_version", ())
        at = rows[0][0] if rows else 0
        if not rows:
            session.execute("INSERT INTO schema_version(version) VALUES (0)", ())
        for script in MIGRATIONS[at:]:
            session.script(schema_for_postgres(script))
        session.execute("UPDATE schema_version SET version = $1 WHERE version < $1", (len(MIGRATIONS),))
        for statement, arguments in birth(cluster_id):
            session.execute(for_postgres(statement, len(arguments)), arguments)
        session.script("COMMIT")

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        return cast(Result, await self._jobs.ask(work))

    async def write_together(self, work: Together[Item], item: Item) -> None:
        await self._jobs.ask(work, item, together=True)

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        if self._jobs.closed:
            raise MetadataUnavailable("the metadata store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: self._read(work))

    def on_change(self, nudge: Callable[[], None]) -> None:
        self._listening = asyncio.get_running_loop().create_task(self._listen_for_ever(nudge))

    async def close(self) -> None:
        if self._jobs.closed:
            return
        loop = asyncio.get_running_loop()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await loop.run_in_executor(None, self._jobs.close)
        if self._writer.is_alive():
            await loop.run_in_executor(None, self._writer.join)
        else:
            self._session.close()
        await loop.run_in_executor(self._readers, self._reader.close)
        self._readers.shutdown(wait=False)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self, work: Callable[[Tx], Result]) -> Result:
        try:
            try:
                return self._snapshot(work)
            except AWAY as error:
                if not self._reader.broke(error):
                    raise
                self._reader.drop()
                return self._snapshot(work)
        except AWAY as error:
            if self._reader.broke(error):
                self._reader.drop()
            raise MetadataUnavailable(f"cannot read {self._shown}: {_said(error)}") from error

    def _snapshot(self, work: Callable[[Tx], Result]) -> Result:
        self._reader.open()
        self._reader.script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            return work(_Tx(self._reader))
        finally:
            if self._reader.is_open:
                self._reader.script("ROLLBACK")

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write_for_ever(self) -> None:
        while (first := self._jobs.first()) is not None:
            group: list[Job] = []
            try:
                self._take_turn()
                group = self._jobs.rest(first)
                answers = self._commit(units(group))
            except Exception as error:
                fault = MetadataUnavailable(f"cannot write {self._shown}: {_said(error)}")
                answers = Unit(jobs=group or self._jobs.rest(first)).failed(fault)
                self._session.drop()
            settle(answers)
            self._session.analyze_grown()
        self._session.close()

    def _take_turn(self) -> None:
        """BEGIN and the lock. Nothing has happened yet, so a connection that had died meanwhile is simply replaced."""
        reused = self._session.is_open
        try:
            self._session.begin(_BEGIN)
        except AWAY as error:
            if not reused or not self._session.broke(error):
                raise
            self._session.drop()
            self._session.begin(_BEGIN)

    def _commit(self, waiting: list[Unit]) -> list[Answer]:
        changes, answers = Changes(), list[Answer]()
        for unit in waiting:
            tx = _Tx(self._session)
            try:
                answers += unit.run(tx)
                changes.merge(tx.changes)
            except Exception as error:
                if self._session.broke(error):
                    raise
                if tx.wrote or isinstance(error, AWAY):
                    return self._commit_carefully(waiting)
                answers += unit.failed(error)
        self._finish(changes)
        return answers

    def _commit_carefully(self, waiting: list[Unit]) -> list[Answer]:
        """Again from the start, so that the job that fails is undone alone."""
        self._session.script("ROLLBACK")
        self._session.begin(_BEGIN)
        changes, answers = Changes(), list[Answer]()
        for unit in [alone for many in waiting for alone in many.split()]:
            tx = _Tx(self._session)
            self._session.script("SAVEPOINT job")
            try:
                answers += unit.run(tx)
                changes.merge(tx.changes)
                self._session.script("RELEASE job")
            except Exception as error:
                if self._session.broke(error):
                    raise
                self._session.script("ROLLBACK TO job; RELEASE job")
                answers += unit.failed(error)
        self._finish(changes)
        return answers

    def _finish(self, changes: Changes) -> None:
        if rows := changes.rows():
            self._session.fetch(_BUMP, ([kind for kind, _ in rows], [key for _, key in rows]))
        self._session.script("COMMIT")

    # -- listening ---------------------------------------------------------------------------------------------------

    async def _listen_for_ever(self, nudge: Callable[[], None]) -> None:
        """Until cancelled; while it cannot listen, the poll does the work."""
        while True:
            try:
                async with Session.listening(self.url, lambda pid: self._heard(pid, nudge)) as is_alive:
                    nudge()
                    while await is_alive():
                        await self._clock.sleep(LISTEN_CHECK_S)
            except AWAY:
                await self._clock.sleep(LISTEN_RETRY_S)

    def _heard(self, pid: int, nudge: Callable[[], None]) -> None:
        if pid != self._session.pid:
            nudge()


def _said(error: BaseException) -> str:
    """One line; a timeout has no words of its own."""
    return " ".join(str(error).split()) or ("it took too long" if isinstance(error, TimeoutError) else repr(error))
