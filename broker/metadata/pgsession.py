"""One connection to PostgreSQL and the event loop it runs on, for a thread that wants its answers in line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, TypeVar

import asyncpg

from broker.metadata.dialect import Batch, batch

Result = TypeVar("Result")

CHANNEL = "streampilot_changes"
ANALYZE_ROWS = 1000
"""A batch of so many new rows, and more than twice the last one, makes a table's statistics worthless."""
ARRAY_ROWS = 4
"""Below this many rows the driver's pipelining is as good."""
CONNECT_S = 3.0
LOCK_S = 2.5
STATEMENT_S = 10.0
COMMAND_S = 12.0
"""For an answer, the server's own limits included: past it the connection is given up."""
IDLE_S = 2.0
"""A session that holds the writers' lock and does nothing for so long is ended by the server."""

SETTINGS = {
    "application_name": "streampilot",
    "synchronous_commit": "on",
    "lock_timeout": str(int(LOCK_S * 1000)),
    "statement_timeout": str(int(STATEMENT_S * 1000)),
    "idle_in_transaction_session_timeout": str(int(IDLE_S * 1000)),
}

_END_DEAF = """
    SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1397772109
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.wait_event = 'ClientWrite' AND a.state_change < clock_timestamp() - interval '2 seconds'
"""
"""Ends a holder of the lock that has not read its answer for 2 s: it is stopped, and does not count as idle."""

AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Everything the driver raises."""
_GONE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
    asyncpg.PostgresIOError,
)
"""The part of it that is the store's fault and not a statement's."""


async def _connect(url: str) -> Any:
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_S,
            command_timeout=COMMAND_S,
            statement_cache_size=1000,
            max_cached_statement_lifetime=0,
            target_session_attrs="read-write",
            server_settings=SETTINGS,
        )
    except ValueError as error:
        raise ConnectionError("the URL cannot be read: percent-encode what is special in user and password") from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise ConnectionError("this is a standby: name the primary, or all of them") from error
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")
    return connection


def _number(text: str) -> int | float:
    """A sum of BIGINTs is NUMERIC there and an integer on SQLite."""
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(value)


class Session:
    """Calls that block, for one thread. It connects when first used, and again after `drop`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Any = None
        self._batches: dict[str, Batch | None] = {}
        """By the statement for one row."""
        self._largest: dict[str, int] = {}
        self._grown: set[str] = set()
        self.pid = -1
        """Of the server process behind the connection."""

    def _wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(work)

    def open(self) -> None:
        if not self.is_open:
            self.drop()
            self._connection = self._wait(_connect(self._url))
            self.pid = self._connection.get_server_pid()

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_closed()

    def broke(self, error: BaseException) -> bool:
        """Whether the store is at fault: the connection is gone or of no use, and so is the transaction. A statement
        that ran too long is its job's own fault.
        """
        return not self.is_open or (isinstance(error, _GONE) and not isinstance(error, asyncpg.QueryCanceledError))

    def begin(self, script: str) -> None:
        """Opens the connection where need be, then starts a transaction and waits for its lock, twice if it must."""
        self.open()
        try:
            self.script(script)
        except asyncpg.LockNotAvailableError:
            self.script("ROLLBACK")
            self.fetch(_END_DEAF, ())
            self.script(script)

    def script(self, sql: str) -> None:
        """Statements without arguments, in one round trip."""
        self._wait(self._connection.execute(sql))

    def execute(self, sql: str, arguments: Sequence[Any]) -> int:
        """The number of rows touched."""
        said = self._wait(self._connection.execute(sql, *arguments))
        last = said.rpartition(" ")[2]
        return int(last) if last.isdecimal() else -1

    def execute_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """One statement over arrays where there are several rows, so that the server plans and answers once."""
        many = self._batch(sql) if len(rows) >= ARRAY_ROWS else None
        if many is None or (many.keys and len({tuple(row[at] for at in many.keys) for row in rows}) < len(rows)):
            self._wait(self._connection.executemany(sql, rows))
        else:
            self._wait(self._connection.fetch(many.sql, *map(list, zip(*rows, strict=True))))
        if len(rows) >= ANALYZE_ROWS and sql.startswith("INSERT INTO "):
            table = sql.split("(", 1)[0].removeprefix("INSERT INTO ")
            if len(rows) > 2 * self._largest.get(table, 0):
                self._largest[table] = len(rows)
                self._grown.add(table)

    def analyze_grown(self) -> None:
        """Fresh statistics of tables that grew a lot; the server's own turn would come a minute later."""
        with suppress(*AWAY):
            while self._grown and self.is_open:
                self.script(f"ANALYZE {self._grown.pop()}")

    def _batch(self, sql: str) -> Batch | None:
        if sql not in self._batches:
            prepared = self._wait(self._connection.prepare(sql))
            self._batches[sql] = batch(sql, [parameter.name for parameter in prepared.get_parameters()])
        return self._batches[sql]

    def fetch(self, sql: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._wait(self._connection.fetch(sql, *arguments))]

    def drop(self) -> None:
        """Gives the connection up at once, whatever it was doing."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def close(self) -> None:
        if self._loop is None:
            return
        if self.is_open:
            with suppress(*AWAY):
                self._wait(self._connection.close(timeout=1.0))
        self.drop()
        self._loop.close()
        self._loop = None

    @staticmethod
    @asynccontextmanager
    async def listening(url: str, heard: Callable[[int], None]) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Calls `heard` with the sender's pid at each NOTIFY; what it yields tells whether that still works."""
        connection = await _connect(url)
        try:
            await connection.add_listener(CHANNEL, lambda _connection, pid, _channel, _payload: heard(pid))

            async def is_alive() -> bool:
                return not connection.is_closed() and await connection.fetchval("SELECT 1") == 1

            yield is_alive
        finally:
            connection.terminate()
