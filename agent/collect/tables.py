"""The tables that a view's SQL (`sql/*.sql`) may read, typed, beside `m`, the measures of the window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb

from agent.collect.mapping import DIMENSIONS
from agent.store.batch import Columns

SQL = Path(__file__).parent / "sql"

TABLES: Mapping[str, str] = {
    "m": "measure VARCHAR, broker VARCHAR, rate DOUBLE, increase DOUBLE, last DOUBLE, first DOUBLE, span_s DOUBLE, "
    "age_s DOUBLE, " + ", ".join(f"{name} VARCHAR" for name in DIMENSIONS),
    "brokers": "broker VARCHAR, resource VARCHAR, kind VARCHAR, rack VARCHAR, up BOOLEAN, cores DOUBLE, "
    "instance_type VARCHAR, topology_known BOOLEAN, age_s DOUBLE",
    "partitions": "topic VARCHAR, part INTEGER, leader VARCHAR, replicas VARCHAR[], isr VARCHAR[], age_s DOUBLE",
    "groups": "group_id VARCHAR, state VARCHAR, protocol VARCHAR, coordinator VARCHAR, members BIGINT, age_s DOUBLE",
    "members": "group_id VARCHAR, member_id VARCHAR, topic VARCHAR, part INTEGER",
    "configs": "scope VARCHAR, owner VARCHAR, name VARCHAR, value VARCHAR, source VARCHAR, age_s DOUBLE",
    "log_dirs": "broker VARCHAR, topic VARCHAR, part INTEGER, size_bytes BIGINT, age_s DOUBLE",
    "security": "resource VARCHAR, subject VARCHAR, item VARCHAR, value VARCHAR, expires_us BIGINT, age_s DOUBLE",
    "events": "at_us BIGINT, resource VARCHAR, kind VARCHAR, source VARCHAR, detail VARCHAR, age_s DOUBLE",
    "targets": "target VARCHAR, up BOOLEAN, reason VARCHAR, ok_us BIGINT, age_s DOUBLE",
    "whereabouts": "client_id VARCHAR, zone VARCHAR",
    "told": "client_id VARCHAR, metric VARCHAR, value DOUBLE, age_s DOUBLE",
    "quantiles": "broker VARCHAR, operation VARCHAR, p99_s DOUBLE",
    "charges": "component VARCHAR, for_resource VARCHAR, usd_per_hour DOUBLE, basis VARCHAR, price_date VARCHAR, "
    "age_s DOUBLE",
    "history": "measure VARCHAR, subject VARCHAR, resource VARCHAR, bucket_us BIGINT, bucket_s DOUBLE, low DOUBLE, "
    "high DOUBLE, mean DOUBLE, newest DOUBLE, increase DOUBLE, age_s DOUBLE",
}
"""Table to its columns and types; what a source lacks is NULL."""


@dataclass(frozen=True, kw_only=True)
class ViewQuery:
    tables: tuple[str, ...]
    measures: tuple[str, ...]
    text: str


@cache
def view_query(view: str) -> ViewQuery | None:
    """The SQL of a view, with what its header says it reads; None for a view that has none."""
    file = SQL / f"{view}.sql"
    if not file.exists():
        return None
    reads: dict[str, tuple[str, ...]] = {"tables": (), "measures": ()}
    lines = file.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("-- "):
            name, _, words = line[3:].partition(":")
            reads[name] = tuple(words.split())
    return ViewQuery(tables=reads["tables"], measures=reads["measures"], text="\n".join(lines))


def fill(
    connection: duckdb.DuckDBPyConnection, view: str, query: ViewQuery, tables: Mapping[str, Columns], common: str
) -> None:
    """Runs a view's SQL over the tables and inserts its rows; `common` is SQL for as_of and window_s."""
    ctes = []
    try:
        for name, columns in tables.items():
            connection.register(f"raw_{name}", columns)
            ctes.append(f"{name} AS ({_typed(name, columns)})")
        connection.execute(
            f'INSERT INTO "{view}" BY NAME WITH {", ".join(ctes)} SELECT *, {common} FROM (\n{query.text}\n)'
        )
    finally:
        for name in tables:
            connection.unregister(f"raw_{name}")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def encoded(expression: str) -> str:
    """SQL that percent-encodes one segment of a resource id, as agent.model.resource does."""
    sql = f"replace(replace({expression}, '%', '%25'), '/', '%2F')"
    for code in (*range(0x01, 0x20), 0x7F):
        sql = f"replace({sql}, chr({code}), '%{code:02X}')"
    return sql


def _typed(table: str, columns: Columns) -> str:
    wanted = (column.split(" ") for column in TABLES[table].split(", "))
    picked = (f"{name}::{kind} AS {name}" if name in columns else f"NULL::{kind} AS {name}" for name, kind in wanted)
    return f"SELECT {', '.join(picked)} FROM raw_{table}"
