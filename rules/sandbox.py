"""The locked DuckDB that queries run in, and how their answers come out as plain cells.

Nothing inside can reach a file, a socket, an extension or a Python object; nothing can write, or run on for ever.
`allowed_directories` would be no sandbox (COPY and ATTACH inside it succeed), so external access is off altogether.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from rules.errors import QueryError

Cell = str | int | float | bool | None | list[str] | list[int]

MEMORY = "256MB"
TIMEOUT_S = 5.0
MOST_ROWS = 20_000
"""Candidates of one page; ten thousand partitions fit twice."""


def database() -> duckdb.DuckDBPyConnection:
    """An empty in-memory database, locked."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": MEMORY,
            "temp_directory": "",
            "threads": "1",
        },
    )
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")
    return connection


class Databases:
    """One locked database per window. Making one costs more than a query does, so a caller with rounds keeps them."""

    def __init__(self) -> None:
        self._by_window: dict[float, duckdb.DuckDBPyConnection] = {}

    def of(self, window_s: float) -> duckdb.DuckDBPyConnection:
        """The database for a window; what an earlier round left in it is replaced view by view."""
        if window_s not in self._by_window:
            self._by_window[window_s] = database()
        return self._by_window[window_s]

    def close(self) -> None:
        for connection in self._by_window.values():
            connection.close()
        self._by_window.clear()


@contextmanager
def guard(connection: duckdb.DuckDBPyConnection, name: str, timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Queries inside only read, and end in time; whatever DuckDB complains of becomes a QueryError naming the page."""
    timer = threading.Timer(timeout_s, connection.interrupt)
    timer.daemon = True
    connection.execute("BEGIN TRANSACTION READ ONLY")
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        message = f"{name}: the query was stopped after {timeout_s:g} s; make it smaller, or filter earlier"
        raise QueryError(message) from error
    except duckdb.Error as error:
        raise QueryError(f"{name}: the query failed: {first_line(error)}") from error
    finally:
        timer.cancel()
        timer.join()
        connection.execute("ROLLBACK")


def table(connection: duckdb.DuckDBPyConnection, sql: str, values: Any) -> tuple[list[str], list[dict[str, Cell]]]:
    """Column names, and the rows as plain cells; times come out as RFC 3339 text."""
    result = connection.execute(sql, values)
    timed = {column[0] for column in result.description or () if str(column[1]) == "TIMESTAMP WITH TIME ZONE"}
    if timed:
        # The driver hands out zoned times only with pytz installed; numbers it hands out freely.
        replaced = ", ".join(f'epoch_ms("{name}") AS "{name}"' for name in sorted(timed))
        result = connection.execute(f"SELECT * REPLACE ({replaced}) FROM (\n{sql.rstrip().rstrip(';')}\n)", values)
    names = [column[0] for column in result.description or ()]
    rows = result.fetchmany(MOST_ROWS + 1)
    if len(rows) > MOST_ROWS:
        raise QueryError(f"the query gives more than {MOST_ROWS} rows; narrow it")
    return names, [
        {name: instant(value) if name in timed else cell(value) for name, value in zip(names, row, strict=True)}
        for row in rows
    ]


def instant(milliseconds: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339 text."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def cell(value: Any) -> Cell:
    """A value as JSON can carry it; a number that is not finite is unknown."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [str(item) for item in value] if any(isinstance(item, str) for item in value) else list(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    try:
        return cell(float(value))
    except (TypeError, ValueError):
        return str(value)


def number(value: Any) -> float | None:
    """A cell as a number; None where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def first_line(error: Exception) -> str:
    """What an exception says, without its picture of the statement."""
    return str(error).strip().split("\n", 1)[0]
