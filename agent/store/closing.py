"""Closed hours become files: sorted samples, their five-minute rollups, and a day's rollups in one.

The files are written beside a running store, on a cursor of their own; only giving a file its name and dropping the hot
table happen under the store's lock. Every step may be repeated: an hour whose roll-off was cut off is rolled off again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb

from agent.store.errors import FilesChanged, StoreError
from agent.store.failures import first_line
from agent.store.hours import HOUR, ORDER, column_names, files_in, split_name
from agent.store.rollups import COLUMNS, HOUR_OF, hour_rollup_sql
from agent.store.seal import MARK, seal
from agent.store.shelf import Shelf

MOST_BACKFILL = 24
"""Hours without rollups (of a release that made none) that one call makes up for."""
LEVEL = 9
"""Of zstd: a few percent smaller, for a hundred nanoseconds a sample, once."""
ROW_GROUP = 20_480
"""Rows that are skipped or read as one: small, so that a few series of an hour are a small part of its file."""


class Closer:
    """Rolls hours off; `cursor` gives a connection beside the store's, `lock` keeps readers and writers away."""

    def __init__(
        self, shelf: Shelf, cursor: Callable[[], duckdb.DuckDBPyConnection], lock: AbstractContextManager[object]
    ) -> None:
        self._shelf = shelf
        self._cursor = cursor
        self._lock = lock

    def close_hours(self, at: datetime) -> None:
        """Every hot table of an hour before `at`'s; raises what DuckDB or the disk says."""
        now = f"{at:%Y%m%d%H}"
        cursor = self._cursor()
        try:
            closed = sorted(
                (split_name(name), name) for (name,) in _tables(cursor) if (split_name(name) or ("", now))[1] < now
            )
            if closed:
                self._export(cursor, "FROM series", self._shelf.series)
                ((numbers,),) = cursor.execute("SELECT coalesce(max(id), -1) + 1 FROM series").fetchall()
                self._shelf.ledger.numbered(numbers)
            steps: list[Callable[[], None]] = [partial(self._make_up, cursor)]
            steps += [partial(self._roll, cursor, name, *(named or ("", ""))) for named, name in closed]
            _each([*steps, partial(self._merge_days, cursor, now[:8])])
        finally:
            self._shelf.ledger.save()
            cursor.close()

    def _roll(self, cursor: duckdb.DuckDBPyConnection, name: str, kind: str, hour: str) -> None:
        file = self._shelf.hour(name)
        columns = ", ".join(column_names(kind))
        source = f"SELECT {columns} FROM {name}"
        if self._shelf.bring([file]):
            source = f"{source} UNION SELECT {columns} FROM read_parquet('{file}')"
        draft = file.with_suffix(".draft")
        cursor.begin()
        try:
            before = _count(cursor, name)
            self._copy(cursor, f"FROM ({source}) ORDER BY {ORDER.get(kind, 'ts')}", draft)
        finally:
            cursor.rollback()
        if kind == "samples":
            self._rollup(cursor, draft, hour)
        with self._lock:
            if _count(cursor, name) != before:  # rows came late, by a clock that stepped back: next time
                draft.unlink()
                return
            self._shelf.put(draft, file)
            cursor.execute(f"DROP TABLE {name}")

    def _rollup(self, cursor: duckdb.DuckDBPyConnection, samples: Path, hour: str) -> None:
        start = datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC)
        before = start - HOUR
        earlier = [self._shelf.rollup(span) for span in (f"{before:%Y%m%d%H}", f"{before:%Y%m%d}")]
        known = [str(file) for file in self._shelf.bring(earlier)][:1]
        sql = hour_rollup_sql(str(samples), known, int(start.timestamp()) * 1_000_000)
        self._export(cursor, f"FROM ({sql}) ORDER BY series, ts", self._shelf.rollup(hour))

    def _make_up(self, cursor: duckdb.DuckDBPyConnection) -> None:
        spans = self._shelf.rollup_spans()
        missing = [hour for hour in self._shelf.sample_hours() if not {hour, hour[:8]} & spans]
        for hour in missing[:MOST_BACKFILL]:
            for file in self._shelf.bring([self._shelf.hour(f"samples_{hour}")]):
                self._rollup(cursor, file, hour)

    def _merge_days(self, cursor: duckdb.DuckDBPyConnection, today: str) -> None:
        spans = self._shelf.rollup_spans()
        waiting = {hour for hour in self._shelf.sample_hours() if not {hour, hour[:8]} & spans}
        hot = {named[1][:8] for (name,) in _tables(cursor) if (named := split_name(name)) and named[0] == "samples"}
        days = {span[:8] for span in spans if len(span) == 10} - {hour[:8] for hour in waiting} - hot
        for day in sorted(day for day in days if day < today):
            hours = sorted(span for span in spans if len(span) == 10 and span.startswith(day))
            whole = self._shelf.rollup(day)
            files = [str(file) for file in self._shelf.bring([self._shelf.rollup(hour) for hour in hours])]
            source = f"SELECT {COLUMNS} FROM read_parquet({files})"
            if self._shelf.bring([whole]):
                kept = ", ".join(map(repr, hours))
                source += f" UNION ALL SELECT {COLUMNS} FROM read_parquet('{whole}') WHERE {HOUR_OF} NOT IN ({kept})"
            draft = whole.with_suffix(".draft")
            self._copy(cursor, f"FROM ({source}) ORDER BY series, ts", draft)
            with self._lock:
                self._shelf.put(draft, whole)
                self._shelf.remove(self._shelf.rollup(hour) for hour in hours)

    def _export(self, cursor: duckdb.DuckDBPyConnection, sql: str, file: Path) -> None:
        draft = file.with_suffix(".draft")
        self._copy(cursor, sql, draft)
        with self._lock:
            self._shelf.put(draft, file)

    def _copy(self, cursor: duckdb.DuckDBPyConnection, sql: str, draft: Path) -> None:
        # Numbers are a tenth smaller without a dictionary in front of zstd; names are not.
        plain = ", DICTIONARY_SIZE_LIMIT 1" if draft.stem.startswith(("samples_", "rollups_")) else ""
        try:
            cursor.execute(
                f"COPY ({sql}) TO '{draft}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL}, "
                f"ROW_GROUP_SIZE {ROW_GROUP}, KV_METADATA {{{MARK}: '1'}}{plain})"
            )
            seal(draft)
        except duckdb.Error as error:
            draft.unlink(missing_ok=True)
            if self._shelf.examine(files_in(sql)):
                raise FilesChanged(f"{draft.stem} is rolled off next time: {first_line(error)}") from error
            raise
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _each(steps: Sequence[Callable[[], None]]) -> None:
    """All steps, though one has to wait for a file that the bucket does not give; then the first such error."""
    waits = []
    for step in steps:
        try:
            step()
        except StoreError as error:
            waits.append(error)
    if waits:
        raise waits[0]


def _tables(cursor: duckdb.DuckDBPyConnection) -> list[tuple[str]]:
    return cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()


def _count(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    (count,) = cursor.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(count)
