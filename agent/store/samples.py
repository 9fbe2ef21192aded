"""The metrics: one DuckDB file that one process owns, plus Parquet for closed hours.

Laws:
1. A round is one transaction: killed at any moment, a round is there whole or not at all.
2. Nothing is deleted row by row: hot tables are dropped once they are files, files are deleted (agent.store.shelf).
3. A file that is damaged is renamed (`samples.duckdb.corrupt-...`), never deleted, and the store says so: at once where
   it cannot be opened or read, else after a second round in a row that it does not take. One that is only held, closed
   to this user, or too large for the memory or the disk stays where it is (agent.store.failures).
4. A failed write (a full disk) never ends the process: the round is counted in `dropped`, the connection is made anew
   (DuckDB's stays unusable after a fatal error), and the next round tries again. sent = stored + dropped.
5. All access goes through one lock but roll-off, which works beside it; `query` returns numpy columns. Times leave
   DuckDB only as numpy, because its Python rows would need a time-zone package.
6. Nothing is unbounded: memory, files, the database and its temporary files, and the number of series.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from agent.model.clock import Clock
from agent.store.batch import Batch, Columns, instant
from agent.store.bucket import Bucket
from agent.store.closing import Closer
from agent.store.errors import FilesChanged, StoreError, ask_again
from agent.store.failures import first_line, judge
from agent.store.hours import KINDS, files_in, hour_name, rows_sql, split_name, within
from agent.store.identity import MOST_PENDING, Identities, Labels
from agent.store.ledger import Loss, in_words
from agent.store.opening import Config, load, put_aside
from agent.store.owner import Directory
from agent.store.recent import RecentRollups
from agent.store.rollups import LOOK_BACK
from agent.store.shelf import Keep, Shelf
from agent.store.steps import Steps

__all__ = ["Labels", "SampleStore"]

MOST_SERIES = 1_000_000
FEW = 8
"""Less than an eighth of all series: their recent buckets are made for them alone."""


class SampleStore:
    """Samples and snapshots of one agent. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock,
        memory_limit: str = "256MB",
        keep: Keep | None = None,
        threads: int = 2,
        bucket: Bucket | None = None,
        clusters: int = 1,
        take_over: bool = False,
    ) -> None:
        """`bucket`: where closed hours go; `take_over`: though another agent seems to be alive that it belongs to.

        `clusters` share the room for series: one that makes up millions leaves the others theirs.
        """
        self.path = directory / "samples.duckdb"
        self.stored = 0
        """Samples committed since the start."""
        self.dropped = 0
        """Samples that could not be committed since the start."""
        self.said: list[str] = []
        """What happened to the files, in words: quarantines, failed writes."""
        self.generation = 0
        """Grows when series numbers given out before are void."""
        self._clock = clock
        self._keep = keep or Keep()
        self._share = MOST_SERIES // clusters
        self._config: Config = {
            "memory_limit": memory_limit,
            "threads": str(threads),
            "max_temp_directory_size": f"{max(self._keep.bytes // 2, 64 << 20)}B",
        }
        self._lock = threading.RLock()
        self._tidying = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._identities = Identities()
        self._failures = 0
        self._steps = Steps()
        try:
            self._held = Directory(directory, clock.now())
        except OSError as error:
            raise self._unusable(directory, error) from error
        lease = self._held.lease(clock, take_over=take_over)
        try:
            self.shelf = Shelf(directory, self._keep, bucket, self._lock, now=clock.now, say=self._say, lease=lease)
            self._closer = Closer(self.shelf, self._cursor, self._lock)
            self._recent = RecentRollups(self.shelf, lambda since, until: self.relation("samples", since, until))
            with self._lock:
                self._open()
        except BaseException as error:
            self._held.release()
            if isinstance(error, OSError):
                raise self._unusable(directory, error) from error
            raise

    def _unusable(self, directory: Path, error: OSError) -> StoreError:
        return StoreError(f"cannot use {directory}: {error}; {judge(error, self.path).remedy}")

    # Writing

    def series_id(self, cluster: str, target: str, name: str, labels: Labels) -> int:
        """The number of a series, given out on first sight and written with the next round, or ahead of it."""
        with self._lock:
            known = self._identities.find(cluster, target, name, labels)
            if known is not None:
                return known
            if len(self._identities) >= MOST_SERIES or self._identities.of(cluster) >= self._share:
                count = self._identities.of(cluster)
                raise StoreError(f"{self.path} holds {count} series of {cluster}: remove a target or give it an agent")
            if self._identities.pending >= MOST_PENDING:
                self._write_ahead()
            return self._identities.add(cluster, target, name, labels)

    def _write_ahead(self) -> None:
        try:
            connection = self._connected()
            written = self._identities.insert(connection, self._clock.now())
        except duckdb.Error as error:
            self._close()
            raise StoreError(f"new series could not be stored: {first_line(error)}") from error
        self._identities.written(written)

    def write(self, batch: Batch) -> bool:
        """Commits a round; False when it had to be dropped, which is counted and said."""
        with self._lock:
            try:
                self._write(self._connected(), batch)
            except (duckdb.Error, StoreError, OSError) as error:
                self.dropped += batch.rows
                self._say(f"a round of {batch.rows} samples could not be stored: {first_line(error)}")
                self._after(error)
                return False
            self._failures = 0
            self.stored += batch.rows
            self._recent.came(batch.at)
            return True

    def _write(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        connection.begin()
        try:
            written = self._identities.insert(connection, batch.at)
            self._insert(connection, "samples", batch.at, {"series": batch.series, "value": batch.values})
            self._insert(connection, "samples", batch.at, {"series": batch.ended})
            for kind, columns in batch.tables.items():
                self._insert(connection, kind, batch.at, columns)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        self._identities.written(written)

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

    def relation(self, kind: str, since: datetime, until: datetime, *, files: bool = True, exact: bool = False) -> str:
        """SQL for all rows of a kind in the hours that touch [since, until]; filter on `ts` for the rest.

        `files`: those of closed hours too. `exact`: the rows of [since, until] alone.
        """
        with self._lock:
            hot = within(self._hot_hours(kind), since, until)
            files_here = self.shelf.bring(self._hour_files(kind, since, until)) if files else []
        return rows_sql(kind, files_here, hot, (since, until) if exact else None)

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, **registered: Columns) -> Columns:
        """Runs one SELECT; columns as numpy (NULLs masked). `registered` columns can be read as tables."""
        with self._lock:
            connection = self._connected()
            for name, columns in registered.items():
                connection.register(name, columns)
            try:
                answer: Columns = connection.execute(sql, dict(parameters or {})).fetchnumpy()
            except duckdb.Error as error:
                raise self._cannot(error, files_in(sql)) from error
            finally:
                if self._connection is not None:
                    for name in registered:
                        connection.unregister(name)
            return answer

    def _cannot(self, error: duckdb.Error, files: Iterable[Path]) -> StoreError:
        if not isinstance(error, duckdb.InterruptException) and self.shelf.examine(files):
            return FilesChanged(f"{self.path} cannot answer: {first_line(error)}; the file is put aside, ask again")
        failure = judge(error, self.path)
        if isinstance(error, duckdb.FatalException) or failure.damaged:
            self._after(error)
        return StoreError(f"{self.path} cannot answer: {first_line(error)}")

    def query_over(
        self,
        kind: str,
        since: datetime,
        until: datetime,
        text: Callable[[str], str],
        parameters: Mapping[str, Any] | None = None,
        *,
        files: bool = True,
        exact: bool = False,
        wanted: Columns | None = None,
    ) -> Columns:
        """Runs the SELECT that `text` makes of `relation(kind, since, until)`; no roll-off comes in between.

        `wanted` columns can be read as a table of that name.
        """
        registered = {} if wanted is None else {"wanted": wanted}

        def ask() -> Columns:
            if files:
                self.shelf.bring(self._hour_files(kind, since, until))
            with self._lock:
                return self.query(
                    text(self.relation(kind, since, until, files=files, exact=exact)), parameters, **registered
                )

        return ask_again(ask)

    def _hour_files(self, kind: str, since: datetime, until: datetime) -> list[Path]:
        return [self.shelf.hour(f"{kind}_{hour}") for hour in within(self.shelf.hours(kind), since, until)]

    def put_aside(self) -> dict[str, int]:
        """How many damaged databases are kept (`database`), and by kind how many files queries do without."""
        databases = list(self.path.parent.glob(f"{self.path.name}.corrupt-*"))
        return {"database": len(databases), **Counter(loss.kind for loss in self.shelf.ledger.losses())}

    def notes(self) -> list[str]:
        """What happened to the files, and what queries do without."""
        return [*self.said, *in_words(self.shelf.ledger.losses())]

    def lost(self, kinds: Iterable[str], since: datetime, until: datetime) -> list[Loss]:
        """Files of kinds (`rollups` among them) with rows of [since, until] that queries do without."""
        return self.shelf.ledger.losses(kinds, f"{since:%Y%m%d%H}", f"{until:%Y%m%d%H}")

    def rollups(self, ids: NDArray[np.int32], since: datetime, until: datetime) -> Columns:
        """Five-minute buckets of some series that start in [since, until], by series and time; `us` is their start."""
        picked = "x.series, epoch_us(x.ts) AS us, low, high, last, count, sum, increase"
        return self.over_rollups(picked, "ORDER BY x.series, x.ts", since, until, {"id": ids})

    def over_rollups(self, picked: str, rest: str, since: datetime, until: datetime, wanted: Columns) -> Columns:
        """SELECTs `picked` of the rollups `x` that start in [since, until] and belong to a series in `wanted` (id)."""
        return ask_again(lambda: self._over_rollups(picked, rest, since, until, wanted))

    def _over_rollups(self, picked: str, rest: str, since: datetime, until: datetime, wanted: Columns) -> Columns:
        span = {"since": int(instant(since).astype(np.int64)), "until": int(instant(until).astype(np.int64))}
        ids = wanted["id"]
        if not len(ids):
            ids = np.array([-1], dtype=np.int32)
        self._recent.bring(since, until)
        with self._lock:
            connection, few = self._connected(), len(ids) * FEW < self.series_count
            try:
                buckets = self._recent.relation(
                    connection, self._hot_hours("samples"), since, until, series=self.series_count, few=few
                )
            except duckdb.Error as error:
                raise self._cannot(error, self._hour_files("samples", since - LOOK_BACK, until)) from error
            return self.query(
                f"SELECT {picked} FROM {buckets} x JOIN wanted ON wanted.id = x.series "
                f"WHERE x.ts BETWEEN make_timestamptz($since::BIGINT) AND make_timestamptz($until::BIGINT) "
                f"AND x.series BETWEEN {ids.min()} AND {ids.max()} {rest}",
                span,
                wanted=wanted,
            )

    def tables(self) -> set[str]:
        """Hot tables by name."""
        with self._lock:
            return self._tables()

    @property
    def series_count(self) -> int:
        """Series that have a number."""
        return len(self._identities)

    # Keeping house

    def maintain(self, at: datetime) -> None:
        """Rolls closed hours off to Parquet and forgets the oldest; call it now and then, from any thread."""
        with self._tidying:
            if stepped := self._steps.seen(at, self._clock.monotonic()):
                self._say(f"the clock stepped by {stepped.total_seconds():+.0f} s; nothing is forgotten for that")
            self._tidy(self.shelf.take_stock)
            self._tidy(lambda: self._closer.close_hours(at))
            self._tidy(self.shelf.scrub)
            self._tidy(self._shed)

    def _tidy(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (duckdb.Error, OSError, StoreError) as error:
            with self._lock:
                self._say(f"closed hours could not be rolled off: {first_line(error)}")
                if isinstance(error, duckdb.Error):
                    self._close()

    def _shed(self) -> None:
        for said in self.shelf.mirror.sync() if self.shelf.mirror is not None else ():
            self._say(said)
        if gone := self.shelf.forget(self._database_bytes()):
            self._say(f"forgotten, to keep within the bounds: {', '.join(gone[:12])}")

    def _database_bytes(self) -> int:
        files = (self.path, self.path.with_name(self.path.name + ".wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Checkpoints and closes the file."""
        with self._tidying, self._lock:
            self._close()
            self.shelf.close()
            self._held.release()

    # The file

    def _tables(self) -> set[str]:
        rows = self._connected().execute("SELECT table_name FROM duckdb_tables()").fetchall()
        return {name for (name,) in rows if split_name(name) is not None}

    def _hot_hours(self, kind: str) -> list[str]:
        return [name.rpartition("_")[2] for name in self._tables() if name.startswith(f"{kind}_")]

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            self._open()
        assert self._connection is not None
        return self._connection

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            cursor = self._connected().cursor()
            cursor.execute("SET TimeZone = 'UTC'")
            return cursor

    def _open(self) -> None:
        try:
            self._connection = load(self.path, self._config, self.shelf, self._identities)
        except duckdb.Error as error:
            failure = judge(error, self.path)
            if not self.path.exists() or not (failure.damaged or failure.unclear):
                raise StoreError(f"cannot open {self.path}: {first_line(error)}; {failure.remedy}") from error
            self._quarantine(error)
            self._connection = load(self.path, self._config, self.shelf, self._identities)

    def _after(self, error: Exception) -> None:
        """A connection that failed is closed; a file that is damaged, or fails twice in a row, is put aside."""
        self._close()
        self._failures += 1
        if isinstance(error, StoreError):
            return
        failure = judge(error, self.path)
        if failure.damaged or (failure.unclear and self._failures > 1):
            self._quarantine(error)

    def _quarantine(self, error: Exception) -> None:
        kept = put_aside(self.path, self._clock.now())
        self._failures = 0
        self._identities.forget_pending()
        self.generation += 1
        self._say(f"{self.path} was damaged and is kept as {kept.name}: {first_line(error)}")

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except duckdb.Error as error:
                self._say(f"{self.path} closed with an error: {first_line(error)}")

    def _say(self, what: str) -> None:
        if not self.said or self.said[-1] != what:
            self.said = [*self.said[-19:], what]
