"""A consistent copy of every table, as bytes for the bucket, and back (law 8).

    magic "SPMETA1\\n" | crc32c of what follows u32 | zlib of JSON lines, numbers big-endian

    line 1   {"schema", "cluster", "version", "at_ms", "newest_object", "tables": {name: [column, ...]}}
    then     [table number, value, ...] for each row; a BLOB as base64
    last     {"rows": n}

The tables and their columns are read off the migrations, so a new table is in the copy from its first day. What the
copy was made with may be older than what loads it: columns that came since get their defaults.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from crc32c import crc32c

from broker.errors import KafkaStorageError
from broker.metadata.commits import newest_object
from broker.metadata.database import Tx
from broker.metadata.schema import MIGRATIONS, migrate

_MAGIC = b"SPMETA1\n"
_CRC = struct.Struct(">I")
_LEFT_OUT = frozenset({"changes", "secrets", "scram"})
"""Only of use to readers of this very store; and what a bucket's readers must not know (brokers make a new secret,
passwords are set again).
"""
LEVEL = 1
"""zlib's fastest: the copy is made beside a working broker."""
CHUNK_BYTES = 64 * 1024
"""Unpacked at a time: a header costs one, and a large copy is never in memory as text."""
ROWS_AT_ONCE = 1000
"""Read and written at a time, so that a large table is never in memory."""


class DamagedSnapshot(KafkaStorageError):
    """Bytes that are not a whole snapshot."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a snapshot says of itself."""

    schema: int
    """How many migrations its store had."""
    cluster: str
    version: int
    at_ms: int
    """When it was taken, by the wall clock of the broker that took it."""
    newest_object: int
    tables: Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Table:
    columns: Mapping[str, str]
    """Name to declared type."""
    key: Sequence[str]
    """Columns of the primary key; empty for tables of one row."""


@cache
def tables() -> dict[str, Table]:
    """Every table that is copied, in the order of creation."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(connection)
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
        ).fetchall()
        return {name: _table(connection, name) for (name,) in names if name not in _LEFT_OUT}
    finally:
        connection.close()


def _table(connection: sqlite3.Connection, name: str) -> Table:
    rows = connection.execute(f"PRAGMA table_info({name})").fetchall()
    keyed = sorted((number, column) for _, column, _, _, _, number in rows if number)
    return Table(columns={row[1]: row[2] for row in rows}, key=[column for _, column in keyed])


def dump(tx: Tx, at_ms: int) -> bytes:
    """Everything in the transaction's view. Seconds for a large cluster: run it off the event loop."""
    (cluster,) = tx.one("SELECT id FROM cluster")
    (version,) = tx.one("SELECT version FROM version")
    header = {
        "schema": len(MIGRATIONS),
        "cluster": cluster,
        "version": version,
        "at_ms": at_ms,
        "newest_object": newest_object(tx),
        "tables": {name: list(table.columns) for name, table in tables().items()},
    }
    packer = zlib.compressobj(LEVEL)
    pieces = [packer.compress(_line(header))]
    rows = 0
    for number, (name, table) in enumerate(tables().items()):
        for row in _rows(tx, name, table):
            pieces.append(packer.compress(_line([number, *map(_plain, row)])))
            rows += 1
    pieces.append(packer.compress(_line({"rows": rows})))
    pieces.append(packer.flush())
    body = b"".join(pieces)
    return _MAGIC + _CRC.pack(crc32c(body)) + body


def _rows(tx: Tx, name: str, table: Table) -> Iterator[Any]:
    """All rows, a page at a time, in the order of the primary key."""
    select = f"SELECT {_joined(table.columns)} FROM {name}"
    if not table.key:
        yield from tx.all(select)
        return
    key, marks = _joined(table.key), ", ".join("?" * len(table.key))
    places = [list(table.columns).index(column) for column in table.key]
    page = tx.all(f"{select} ORDER BY {key} LIMIT {ROWS_AT_ONCE}")
    while page:
        yield from page
        last = [page[-1][place] for place in places]
        page = tx.all(f"{select} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT {ROWS_AT_ONCE}", *last)


def header_of(data: bytes) -> Header:
    """DamagedSnapshot unless the bytes are whole; then what they say of themselves."""
    return _header(next(_lines(data)))


def load(tx: Tx, data: bytes) -> Header:
    """Puts the rows into empty tables (of this schema, or a newer one). DamagedSnapshot, and nothing is done."""
    lines = _lines(data)
    header = _header(next(lines))
    if header.schema > len(MIGRATIONS):
        raise DamagedSnapshot(
            f"the snapshot has schema {header.schema}, this version knows {len(MIGRATIONS)}: use the newer streampilot"
        )
    names = list(header.tables)
    waiting: dict[int, list[tuple[Any, ...]]] = {number: [] for number in range(len(names))}
    for name in reversed(tables()):
        tx.run(f"DELETE FROM {name}")
    for rows, line in enumerate(lines):
        if isinstance(line, dict):
            _check_rows(rows, line["rows"])
            break
        batch = waiting[line[0]]
        batch.append(tuple(line[1:]))
        if len(batch) >= ROWS_AT_ONCE:
            _insert(tx, names[line[0]], header, batch)
    for number, batch in waiting.items():
        _insert(tx, names[number], header, batch)
    return header


def _check_rows(found: int, said: int) -> None:
    if found != said:
        raise DamagedSnapshot(f"{found} of {said} rows are there")


def _insert(tx: Tx, name: str, header: Header, batch: list[tuple[Any, ...]]) -> None:
    columns = header.tables[name]
    types = tables()[name].columns
    blobs = [at for at, column in enumerate(columns) if types[column].startswith("BLOB")]
    rows = [tuple(_unplain(row, blobs)) for row in batch]
    if rows:
        marks = ", ".join("?" * len(columns))
        tx.many(f"INSERT INTO {name}({_joined(columns)}) VALUES ({marks})", rows)
    batch.clear()


def _joined(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _unplain(row: Sequence[Any], blobs: Sequence[int]) -> list[Any]:
    values = list(row)
    for at in blobs:
        if values[at] is not None:
            values[at] = base64.b64decode(values[at])
    return values


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _lines(data: bytes) -> Iterator[Any]:
    head, body = data[: len(_MAGIC) + _CRC.size], data[len(_MAGIC) + _CRC.size :]
    if head != _MAGIC + _CRC.pack(crc32c(body)):
        raise DamagedSnapshot(f"{len(data)} bytes that are not a whole snapshot")
    unpacker, rest = zlib.decompressobj(), b""
    for at in range(0, len(body), CHUNK_BYTES):
        *whole, rest = (rest + unpacker.decompress(body[at : at + CHUNK_BYTES])).split(b"\n")
        yield from map(json.loads, whole)


def _header(line: Mapping[str, Any]) -> Header:
    return Header(
        schema=line["schema"],
        cluster=line["cluster"],
        version=line["version"],
        at_ms=line["at_ms"],
        newest_object=line["newest_object"],
        tables=line["tables"],
    )
