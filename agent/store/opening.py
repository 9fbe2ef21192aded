"""The database file on its way in and out: opened and read whole, or put aside where it is damaged."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from agent.store.guard import free_name
from agent.store.identity import DDL, Identities
from agent.store.shelf import Shelf

CHECKED_ROWS = 5_000_000
"""Hot tables up to this size are read whole at the start, so that damage is found then."""
Config = dict[str, str | bool | int | float | list[str]]


def load(path: Path, config: Config, shelf: Shelf, identities: Identities) -> duckdb.DuckDBPyConnection:
    """A connection to a database that could be read; raises what DuckDB says where it could not."""
    connection = duckdb.connect(str(path), config=config)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET GLOBAL parquet_metadata_cache = true")
        connection.execute(DDL)
        if not connection.execute("SELECT 1 FROM series LIMIT 1").fetchall():
            for file in shelf.bring([shelf.series]):
                connection.execute(f"INSERT INTO series SELECT * FROM read_parquet('{file}')")
        identities.load(connection, shelf.ledger.numbers)
        tables = connection.execute("SELECT table_name, estimated_size FROM duckdb_tables()").fetchall()
        for name, rows in tables:
            if rows <= CHECKED_ROWS:
                connection.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM {name}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def put_aside(path: Path, at: datetime) -> Path:
    """Renames the database and what belongs to it; where it is now."""
    kept = free_name(path, at)
    for file in (path, path.with_name(path.name + ".wal")):
        if file.exists():
            file.replace(file.with_name(kept.name.replace(path.name, file.name, 1)))
    return kept
