"""The metrics: one DuckDB file that one process owns, plus Parquet for closed hours.

Laws:
1. A round is one transaction: killed at any moment, a round is there whole or not at all.
2. Nothing is deleted row by row: closed hours are dropped, the oldest first, by how many there are and how many bytes
   they hold, never by the wall clock, so a clock that jumps two days ahead wipes nothing.
3. A file that cannot be opened is renamed (`samples.duckdb.corrupt-...`), never deleted, and the store says so.
4. A failed write (a full disk) never ends the process: the round is counted in `dropped`, the connection is made anew
   (DuckDB's stays unusable after a fatal error), and the next round tries again. sent = stored + dropped.
5. All access goes through one lock; `query` returns numpy columns. Times leave DuckDB only as numpy, because its
   Python rows would need a time-zone package.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from agent.model.clock import Clock
from agent.store.batch import Batch, Columns, instant, objects
from agent.store.errors import StoreError
from agent.store.hours import KINDS, ORDER, column_names, hour_name, hours_between, split_name
from agent.store.rollups import BUCKET, LOOK_BACK, rollup_sql

Labels = tuple[tuple[str, str], ...]
MOST_SERIES = 2_000_000
KEEP_HOURS = 15 * 24
MOST_BYTES = 10 << 30
"""Of closed hours, on disk; the hot ones are one or two hours more."""
SERIES_DDL = (
    "CREATE TABLE IF NOT EXISTS series(id INTEGER, cluster VARCHAR, target VARCHAR, name VARCHAR, "
    "labels MAP(VARCHAR, VARCHAR), first_ts TIMESTAMPTZ)"
)


class SampleStore:
    """Samples and snapshots of one agent. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        memory_limit: str = "512MB",
        keep_hours: int = KEEP_HOURS,
        most_bytes: int = MOST_BYTES,
        threads: int = 2,
    ) -> None:
        self.path = directory / "samples.duckdb"
        self.stored = 0
        """Samples committed since the start."""
        self.dropped = 0
        """Samples that could not be committed since the start."""
        self.said: list[str] = []
        """What happened to the files, in words: quarantines, failed writes."""
        self.generation = 0
        """Grows when series numbers given out before are void."""
        self._hours = directory / "hours"
        self._clock = clock
        self._memory_limit = memory_limit
        self._keep_hours = keep_hours
        self._most_bytes = most_bytes
        self._threads = threads
        self._lock = threading.RLock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._ids: dict[tuple[str, str, str, Labels], int] = {}
        self._new: list[tuple[int, str, str, str, Labels]] = []
        self._next_id = 0
        self._hours.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._open()

    # Writing

    def series_id(self, cluster: str, target: str, name: str, labels: Labels) -> int:
        """The number of a series, given out on first sight and written with the next round."""
        key = (cluster, target, name, labels)
        with self._lock:
            known = self._ids.get(key)
            if known is not None:
                return known
            if len(self._ids) >= MOST_SERIES:
                raise StoreError(f"{self.path} holds {MOST_SERIES} series: remove a target or shorten the retention")
            number = self._ids[key] = self._next_id
            self._next_id += 1
            self._new.append((number, cluster, target, name, labels))
            return number

    def write(self, batch: Batch) -> bool:
        """Commits a round; False when it had to be dropped, which is counted and said."""
        with self._lock:
            try:
                self._write(self._connected(), batch)
            except (duckdb.Error, StoreError, OSError) as error:
                self.dropped += batch.rows
                self._say(f"a round of {batch.rows} samples could not be stored: {_first_line(error)}")
                self._close()
                return False
            self.stored += batch.rows
            return True

    def _write(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        connection.begin()
        try:
            new = self._insert_series(connection, batch.at)
            self._insert(connection, "samples", batch.at, {"series": batch.series, "value": batch.values})
            self._insert(connection, "samples", batch.at, {"series": batch.ended})
            for kind, columns in batch.tables.items():
                self._insert(connection, kind, batch.at, columns)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        del self._new[:new]

    def _insert_series(self, connection: duckdb.DuckDBPyConnection, at: datetime) -> int:
        if not self._new:
            return 0
        ids, clusters, targets, names, labels = zip(*self._new, strict=True)
        incoming = {
            "id": np.array(ids, dtype=np.int32),
            "cluster": objects(list(clusters)),
            "target": objects(list(targets)),
            "name": objects(list(names)),
            "keys": objects([[name for name, _ in each] for each in labels]),
            "values": objects([[value for _, value in each] for each in labels]),
        }
        connection.register("incoming", incoming)
        connection.execute(
            "INSERT INTO series SELECT id, cluster, target, name, map(keys::VARCHAR[], values::VARCHAR[]), "
            "timezone('UTC', ?::TIMESTAMP) FROM incoming",
            [str(instant(at))],
        )
        connection.unregister("incoming")
        return len(self._new)

    def _insert(self, connection: duckdb.DuckDBPyConnection, kind: str, at: datetime, columns: Columns) -> None:
        if not columns or not len(next(iter(columns.values()))):
            return
        table = hour_name(kind, at)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}({KINDS[kind]})")
        names = ", ".join(columns)
        # DuckDB takes NaN in a numpy column for NULL, and NULL is the stale marker.
        picked = names.replace("value", "coalesce(value, 'nan')") if kind == "samples" else names
        connection.register("incoming", columns)
        connection.execute(
            f"INSERT INTO {table}(ts, {names}) SELECT timezone('UTC', ?::TIMESTAMP), {picked} FROM incoming",
            [str(instant(at))],
        )
        connection.unregister("incoming")

    # Reading

    def relation(self, kind: str, since: datetime, until: datetime) -> str:
        """SQL for all rows of a kind in the hours that touch [since, until]; filter on `ts` for the rest."""
        wanted = [f"{kind}_{hour}" for hour in hours_between(since, until)]
        with self._lock:
            hot = self._tables()
        columns = ", ".join(column_names(kind))
        parts = [f"SELECT {columns} FROM {name}" for name in wanted if name in hot]
        files = ", ".join(f"'{self._file(name)}'" for name in wanted if self._file(name).exists())
        if files:
            parts.append(f"SELECT {columns} FROM read_parquet([{files}])")
        if not parts:
            empty = ", ".join(
                f"NULL::{column.split(' ', 1)[1]} AS {column.split()[0]}" for column in KINDS[kind].split(", ")
            )
            parts = [f"SELECT {empty} WHERE false"]
        return f"({' UNION ALL '.join(parts)})"

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, **registered: Columns) -> Columns:
        """Runs one SELECT; columns as numpy (NULLs masked). `registered` columns can be read as tables."""
        with self._lock:
            connection = self._connected()
            for name, columns in registered.items():
                connection.register(name, columns)
            try:
                answer: Columns = connection.execute(sql, dict(parameters or {})).fetchnumpy()
            except duckdb.FatalException as error:
                self._close()
                raise StoreError(f"{self.path} failed while reading: {_first_line(error)}; it is reopened") from error
            except duckdb.Error as error:
                raise StoreError(f"{self.path} cannot answer: {_first_line(error)}") from error
            finally:
                if self._connection is not None:
                    for name in registered:
                        connection.unregister(name)
            return answer

    def query_over(
        self,
        kind: str,
        since: datetime,
        until: datetime,
        text: Callable[[str], str],
        parameters: Mapping[str, Any] | None = None,
        **registered: Columns,
    ) -> Columns:
        """Runs the SELECT that `text` makes of `relation(kind, since, until)`; no roll-off comes in between."""
        with self._lock:
            return self.query(text(self.relation(kind, since, until)), parameters, **registered)

    def rollups(self, ids: NDArray[np.int32], since: datetime, until: datetime) -> Columns:
        """Five-minute buckets of some series that start in [since, until], by series and time; `us` is their start."""

        def text(relation: str) -> str:
            chosen = f"(SELECT x.* FROM {relation} x JOIN wanted ON wanted.id = x.series)"
            return (
                "SELECT series, epoch_us(ts) AS us, low, high, last, count, sum, increase "
                f"FROM ({rollup_sql(chosen)}) WHERE ts BETWEEN make_timestamptz($since::BIGINT) "
                "AND make_timestamptz($until::BIGINT) ORDER BY series, ts"
            )

        span = {"since": int(instant(since).astype(np.int64)), "until": int(instant(until).astype(np.int64))}
        return self.query_over("samples", since - LOOK_BACK, until + BUCKET, text, span, wanted={"id": ids})

    @property
    def series_count(self) -> int:
        """Series that have a number."""
        return len(self._ids)

    # Keeping house

    def maintain(self, at: datetime) -> None:
        """Rolls closed hours off to Parquet and forgets the oldest; call it now and then, from any thread."""
        current = f"{at:%Y%m%d%H}"
        try:
            with self._lock:
                closed = sorted(name for name in self._tables() if (split_name(name) or ("", current))[1] < current)
                if closed:
                    self._save_series()
            for name in closed:
                with self._lock:
                    self._roll(name)
            self._forget()
        except (duckdb.Error, OSError) as error:
            with self._lock:
                self._say(f"closed hours could not be rolled off: {_first_line(error)}")
                self._close()

    def _roll(self, name: str) -> None:
        connection = self._connected()
        kind = name.rpartition("_")[0]
        file = self._file(name)
        columns = ", ".join(column_names(kind))
        source = f"SELECT {columns} FROM {name}"
        if file.exists():
            source = f"{source} UNION SELECT {columns} FROM read_parquet('{file}')"
        self._export(f"FROM ({source}) ORDER BY {ORDER.get(kind, 'ts')}", file)
        connection.execute(f"DROP TABLE {name}")

    def _save_series(self) -> None:
        """The names behind the numbers, beside the hours: they outlive a damaged database file."""
        self._export("FROM series", self._series_file)

    def _export(self, sql: str, file: Path) -> None:
        draft = file.with_suffix(".draft")
        self._connected().execute(f"COPY ({sql}) TO '{draft}' (FORMAT parquet, COMPRESSION zstd)")
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)

    def _forget(self) -> None:
        hours: dict[str, list[Path]] = defaultdict(list)
        for file in self._hours.glob("*.parquet"):
            named = split_name(file.stem)
            if named is not None:
                hours[named[1]].append(file)
        sizes = {hour: sum(file.stat().st_size for file in files) for hour, files in hours.items()}
        kept, kept_bytes = 0, 0
        for hour in sorted(hours, reverse=True):
            kept, kept_bytes = kept + 1, kept_bytes + sizes[hour]
            if kept > self._keep_hours or (kept > 1 and kept_bytes > self._most_bytes):
                for file in hours[hour]:
                    file.unlink()

    def close(self) -> None:
        """Checkpoints and closes the file."""
        with self._lock:
            self._close()

    # The file

    def _file(self, name: str) -> Path:
        return self._hours / f"{name}.parquet"

    @property
    def _series_file(self) -> Path:
        return self._hours / "series.parquet"

    def _tables(self) -> set[str]:
        rows = self._connected().execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {name for (name,) in rows if split_name(name) is not None}

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _open(self) -> None:
        try:
            self._connection = self._load()
        except duckdb.Error as error:
            if "lock" in str(error).lower():
                raise StoreError(
                    f"{self.path} is held by another process: end that agent or choose another --dir"
                ) from error
            if not self.path.exists() or _no_room(error):
                raise StoreError(f"cannot open {self.path}: {_first_line(error)}; free disk space") from error
            self._quarantine(error)
            self._connection = self._load()

    def _load(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            str(self.path), config={"memory_limit": self._memory_limit, "threads": str(self._threads)}
        )
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(SERIES_DDL)
            if self._series_file.exists():
                connection.execute(
                    f"INSERT INTO series SELECT * FROM read_parquet('{self._series_file}') "
                    "WHERE NOT EXISTS (FROM series)"
                )
            rows = connection.execute(
                "SELECT id, cluster, target, name, map_keys(labels), map_values(labels) FROM series"
            ).fetchall()
        except BaseException:
            connection.close()
            raise
        self._ids = {
            (cluster, target, name, tuple(zip(keys, values, strict=True))): id
            for id, cluster, target, name, keys, values in rows
        }
        self._next_id = max(self._ids.values(), default=-1) + 1
        pending, self._new = self._new, []
        for _, cluster, target, name, labels in pending:
            self.series_id(cluster, target, name, labels)
        return connection

    def _quarantine(self, error: duckdb.Error) -> None:
        stamp = f"{self._clock.now():%Y%m%dT%H%M%S}"
        for file in (self.path, self.path.with_name(self.path.name + ".wal")):
            if file.exists():
                file.replace(file.with_name(f"{file.name}.corrupt-{stamp}"))
        self._new = []
        self.generation += 1
        self._say(f"{self.path} was damaged and is kept as {self.path.name}.corrupt-{stamp}: {_first_line(error)}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except duckdb.Error as error:
                self._say(f"{self.path} closed with an error: {_first_line(error)}")

    def _say(self, what: str) -> None:
        if not self.said or self.said[-1] != what:
            self.said = [*self.said[-19:], what]


def _no_room(error: Exception) -> bool:
    return "no space" in str(error).lower() or "permission" in str(error).lower()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
