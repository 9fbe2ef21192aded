"""One foreign SELECT, run in a process of its own that has limits and reaches nothing: SQL from a person or a model.

DuckDB's own `memory_limit` is not enough: one `repeat('x', 2000000000)` took 3.9 GB under it. So the operating system
holds the limits (address space, CPU seconds, no file may be written), the parent holds the time and the size of the
answer, and inside there are only the rows that the query names, in a database that is locked before it runs.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent.store.errors import StoreError

CHILD = Path(__file__).with_name("sqlbox_child.py")
MOST_SQL = 20_000
"""Characters."""
MOST_ANSWER = 16 << 20
"""Bytes of one line of JSON."""


class SqlRefused(StoreError):
    """The query is not one that may run, or it went over a limit; the message says which."""


@dataclass(frozen=True, kw_only=True)
class SqlLimits:
    memory_bytes: int = 1 << 30
    """Of address space; the interpreter and DuckDB take a third of it."""
    cpu_s: int = 5
    time_s: float = 15.0
    most_rows: int = 10_000


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """What a name in the query stands for."""

    columns: Mapping[str, str]
    """Column to DuckDB type."""
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class SqlAnswer:
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool


Tables = Callable[[str], SqlTable | None]
"""Name to table; None where there is none of that name."""


def run(sql: str, tables: Tables, limits: SqlLimits | None = None) -> SqlAnswer:
    """Blocks at most about `time_s`; SqlRefused says what the query may not, or what it went over."""
    limits = limits or SqlLimits()
    if len(sql) > MOST_SQL:
        raise SqlRefused(f"the query has {len(sql)} characters; at most {MOST_SQL}")
    with (
        tempfile.TemporaryDirectory(prefix="streampilot-sql-") as folder,
        subprocess.Popen(
            [sys.executable, "-I", str(CHILD)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env={},
        ) as child,
    ):  # fmt: skip
        try:
            return _talk(child, sql, tables, limits, Path(folder))
        except BrokenPipeError:
            raise _ended(limits) from None
        finally:
            child.kill()


def _talk(child: subprocess.Popen[bytes], sql: str, tables: Tables, limits: SqlLimits, folder: Path) -> SqlAnswer:
    assert child.stdin is not None and child.stdout is not None
    asked = {"sql": sql, "memory_bytes": limits.memory_bytes, "cpu_s": limits.cpu_s, "most_rows": limits.most_rows}
    _send(child.stdin, asked)
    names = _answer(child.stdout, limits)["tables"]
    _send(child.stdin, [_written(name, tables(name), folder) for name in names])
    said = _answer(child.stdout, limits)
    return SqlAnswer(
        columns=tuple(said["columns"]), rows=tuple(tuple(row) for row in said["rows"]), truncated=said["truncated"]
    )


def _written(name: str, table: SqlTable | None, folder: Path) -> dict[str, Any]:
    if table is None:
        raise SqlRefused(f"there is no table {name!r}; GET /api/views lists them")
    file = folder / f"{name}.json"
    with file.open("w", encoding="utf-8") as out:
        for row in table.rows:
            out.write(json.dumps({column: row.get(column) for column in table.columns}) + "\n")
    return {"name": name, "columns": dict(table.columns), "file": str(file) if file.stat().st_size else ""}


def _send(pipe: IO[bytes], message: Any) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def _answer(pipe: IO[bytes], limits: SqlLimits) -> dict[str, Any]:
    """One line of the child within the time and the size that it has."""
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not data.endswith(b"\n"):
            if not selector.select(limits.time_s):
                raise SqlRefused(f"the query was stopped after {limits.time_s:g} s; make it smaller, or filter earlier")
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                raise _ended(limits)
            data += chunk
            if len(data) > MOST_ANSWER:
                raise SqlRefused(f"the answer is over {MOST_ANSWER} bytes; select fewer columns or rows")
    said: dict[str, Any] = json.loads(data)
    if "refused" in said:
        raise SqlRefused(str(said["refused"]))
    return said


def _ended(limits: SqlLimits) -> SqlRefused:
    return SqlRefused(
        f"the query went over a limit ({limits.memory_bytes >> 20} MiB, {limits.cpu_s} s of CPU) and was ended"
    )
