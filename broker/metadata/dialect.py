"""One SQL text for two engines: what is spelt differently, and nothing else.

The migrations and the statements of this package are written for SQLite's dialect where both agree, and the few words
PostgreSQL has other names for are replaced here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_QUOTED = re.compile(r"('(?:[^']|'')*')")

_COUNTED = re.compile(r"CREATE TABLE (\w+)\(\s*id INTEGER PRIMARY KEY AUTOINCREMENT\b")
_POSTGRES_TYPES = (
    (re.compile(r" AUTOINCREMENT\b"), ""),
    (re.compile(r"\)\s*WITHOUT ROWID\b"), ")"),
    (re.compile(r"\bINTEGER\b"), "BIGINT"),
    (re.compile(r"\bBLOB\b"), "BYTEA"),
    (re.compile(r"\bTEXT\b"), 'TEXT COLLATE "C"'),
)
"""Text compares by its bytes, as SQLite does, so that ORDER BY means the same on both."""

_UPDATED = ("brokers", "offsets", "partitions", "share_partitions", "transactions")
"""Tables whose rows are updated all the time, in columns without an index: with room in the page that costs the index
nothing.
"""
_COUNTER = """
    CREATE FUNCTION next_{table}_id() RETURNS BIGINT LANGUAGE sql AS 'SELECT coalesce(max(id), 0) + 1 FROM {table}';
    ALTER TABLE {table} ALTER COLUMN id SET DEFAULT next_{table}_id();
    """


_PARAMETER = re.compile(r"\$(\d+)")
_INSERT = re.compile(
    r"(?P<head>INSERT INTO \w+)\((?P<columns>[^(){}]+)\) VALUES \((?P<values>[^(){}]+)\)"
    r"(?P<conflict> ON CONFLICT \((?P<unique>[^()]+)\) [^{}]+)?$"
)
_CHANGE = re.compile(r"(?P<head>UPDATE [^{}]+?|DELETE FROM \w+) WHERE (?P<where>[^{}]*)$")


@lru_cache(maxsize=2048)
def numbered(sql: str, sign: str) -> str:
    """`?` placeholders as `sign` and a number; what is inside quotes stays as it is."""
    parts, count = _QUOTED.split(sql), 0
    for at in range(0, len(parts), 2):
        pieces = parts[at].split("?")
        for number in range(len(pieces) - 1):
            count += 1
            pieces[number] += f"{sign}{count}"
        parts[at] = "".join(pieces)
    return "".join(parts)


@lru_cache(maxsize=2048)
def for_postgres(sql: str, arguments: int) -> str:
    """A statement with `$n` placeholders; a list of keys is one array behind the `arguments` others."""
    return numbered(sql, "$").replace("IN ({keys})", f"= ANY(${arguments + 1})").replace("x''", "''::bytea")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A statement for one row, as one for many."""

    sql: str
    """`$n` is the array of every row's nth value."""
    keys: tuple[int, ...]
    """Positions of the values that say which row is touched: it must not be touched twice."""


def batch(sql: str, types: Sequence[str]) -> Batch | None:
    """None for a form that this does not know. `types` are those of `$1`, `$2` and so on."""
    if (insert := _INSERT.match(sql)) is not None:
        conflict = insert["conflict"] or ""
        form = f"{insert['head']}({insert['columns']}) SELECT {insert['values']} FROM {{rows}}{conflict}"
        values = dict(zip(_names(insert["columns"]), _names(insert["values"]), strict=True))
        keyed = " ".join(values[name] for name in _names(insert["unique"] or "") if name in values)
    elif (change := _CHANGE.match(sql)) is not None:
        updates = change["head"].startswith("UPDATE")
        form = f"{change['head']} {'FROM' if updates else 'USING'} {{rows}} WHERE {change['where']}"
        keyed = change["where"] if updates else ""
    else:
        return None
    numbers = range(1, len(types) + 1)
    arrays = ", ".join(f"${number}::{name}[]" for number, name in zip(numbers, types, strict=True))
    names = ", ".join(f"v{number}" for number in numbers)
    text = _PARAMETER.sub(r"new.v\1", form).format(rows=f"unnest({arrays}) AS new({names})")
    return Batch(sql=text, keys=tuple(int(number) - 1 for number in _PARAMETER.findall(keyed)))


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def schema_for_postgres(script: str) -> str:
    """A migration with PostgreSQL's types.

    An AUTOINCREMENT id is one above the highest there is: writers take turns, and the highest row is never removed. A
    sequence would stay behind when a copy of the rows is loaded.
    """
    counted = _COUNTED.findall(script)
    for pattern, name in _POSTGRES_TYPES:
        script = pattern.sub(name, script)
    roomy = [table for table in _UPDATED if f"CREATE TABLE {table}(" in script]
    return (
        script.replace("x''", "''::bytea")
        + "".join(_COUNTER.format(table=table) for table in counted)
        + "".join(f"ALTER TABLE {table} SET (fillfactor = 50);" for table in roomy)
    )
