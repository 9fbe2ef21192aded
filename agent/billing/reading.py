"""One file of a bill, whatever its dialect: recognised by its columns, every cell checked before any is used."""

from __future__ import annotations

from pathlib import Path

import duckdb

from agent.billing.columns import NAMES, first_line, kind_of, quoted
from agent.billing.cur import CUR
from agent.billing.dialect import Dialect, Present, first_of, moment, number
from agent.billing.errors import BillError
from agent.billing.focus import FOCUS

ENDINGS = (".csv", ".csv.gz", ".parquet")
MARK = "line_item_usage_type"
"""The column that only a CUR has."""
KINDS = {"focus": FOCUS, "cur": CUR}


def select(connection: duckdb.DuckDBPyConnection, file: Path, kind: str = "") -> str:
    """SQL for the rows of one file under FOCUS 1.2 names. `kind` insists on a dialect; else the columns tell."""
    source = (
        f"read_parquet({quoted(str(file))})"
        if file.name.endswith(".parquet")
        else f"read_csv({quoted(str(file))}, all_varchar = true, header = true, nullstr = ['NULL', ''], "
        "strict_mode = true)"
    )
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    except duckdb.Error as error:
        raise BillError(f"{file} is not a FOCUS file: {first_line(error)}; export it again") from error
    present = {str(row[0]).lower(): str(row[1]) for row in described}
    dialect = KINDS[kind] if kind else CUR if MARK in present else FOCUS
    for name in dialect.required:
        if name.lower() not in present:
            raise BillError(f"{file} has no column {name}: it is no {dialect.name} file; export the bill again")
    _check_cells(connection, file, source, dialect, present)
    cells = (f"({dialect.cell(name, present) or 'NULL'})::{kind_of(name)} AS {name}" for name in NAMES)
    return f"SELECT {', '.join(cells)} FROM {source}"


def _check_cells(
    connection: duckdb.DuckDBPyConnection, file: Path, source: str, dialect: Dialect, present: Present
) -> None:
    for name in (*dialect.numbers, *dialect.times):
        column = first_of((name,), present)
        if column is None:
            continue
        read = number(column) if name in dialect.numbers else moment(column)
        empty = "OR value IS NULL" if name in dialect.filled else ""
        try:
            bad = connection.execute(
                f"SELECT n, value FROM (SELECT row_number() OVER () AS n, {column}::VARCHAR AS value, {read} AS read "
                f"FROM {source}) WHERE (value IS NOT NULL AND read IS NULL) {empty} LIMIT 1"
            ).fetchone()
        except duckdb.Error as error:
            raise BillError(f"{file} is damaged: {first_line(error)}; export it again") from error
        if bad is not None:
            row, value = bad
            wanted = "number" if name in dialect.numbers else "time"
            raise BillError(
                f"{file}, row {row + 1}, column {name}: {value!r} is no {wanted}; "
                "correct the row or export the bill again"
            )
