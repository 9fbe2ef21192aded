"""Rollups of hours that have no file of them yet: made from samples, and the finished ones kept.

A query over all series of a day wants the running hour's buckets too, and making them from its samples costs more than
reading all the others. So finished buckets stay in temporary tables of the store's own connection, one an hour:

    recent_2026112223    every bucket of that hour before `_until_us`, of all series

Laws: a row that comes late makes the tables from its instant on void; only the newest `MOST_HOURS` hours are kept, and
none with more than `MOST_ROWS` buckets; a query of few series makes its own buckets, which is cheaper than all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import duckdb
import numpy as np

from agent.store.batch import instant
from agent.store.hours import HOUR, within
from agent.store.rollups import BUCKET_US, COLUMNS, HOUR_OF, LOOK_BACK, rollup_sql, stored_sql
from agent.store.shelf import Shelf

MOST_HOURS = 2
MOST_ROWS = 1_200_000
"""Under a hundred megabytes: 100,000 series."""
GRACE_US = 60_000_000
"""A bucket is finished so long after its end: rounds of other clusters may carry an instant a moment older."""
LOOK_BACK_US = int(LOOK_BACK / timedelta(microseconds=1))


class RecentRollups:
    """The kept buckets of one store, whose lock its owner holds around every call."""

    def __init__(self, shelf: Shelf, samples: Callable[[datetime, datetime], str]) -> None:
        self._shelf = shelf
        self._samples = samples
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._until_us: dict[str, int] = {}

    def came(self, at: datetime) -> None:
        """Rows were written at an instant."""
        us = _us(at)
        for hour in [hour for hour, until in self._until_us.items() if until > us]:
            self._drop(hour)

    def forget(self, hours: Sequence[str]) -> None:
        """What is about these hours is void."""
        for hour in set(hours) & self._until_us.keys():
            self._drop(hour)

    def bring(self, since: datetime, until: datetime) -> None:
        """Has the files here that `relation` will read, so that it waits for no bucket under the lock."""
        self._shelf.bring(self._shelf.rollup(span) for span in within(self._shelf.rollup_spans(), since, until))

    def relation(
        self,
        connection: duckdb.DuckDBPyConnection,
        hot: Sequence[str],
        since: datetime,
        until: datetime,
        *,
        series: int,
        few: bool,
    ) -> str:
        """SQL for the buckets of a store's `series` that start in [since, until], and more; `hot` hours have tables.

        From files, and for the hours that have none from their samples. `few`: a table `wanted` (id) names series, and
        others are not made up.
        """
        spans = self._shelf.rollup_spans()
        own = {hour for hour in spans if len(hour) == 10}
        bare = [hour for hour in self._shelf.sample_hours() if not {hour, hour[:8]} & spans]
        live = within([*hot, *bare], since, until)
        hours = within(own - set(live), since, until)
        days = within(spans - own, since, until)
        stored = stored_sql(
            [str(file) for file in self._shelf.bring(self._shelf.rollup(hour) for hour in hours)],
            [str(file) for file in self._shelf.bring(self._shelf.rollup(day) for day in days)],
            sorted(own | set(live)),
        )
        if not live:
            return stored
        chosen = "JOIN wanted ON wanted.id = y.series" if few else ""
        return f"(FROM {stored} UNION ALL {self._live(connection, live, until, series, chosen)})"

    def _live(
        self, connection: duckdb.DuckDBPyConnection, hours: Sequence[str], until: datetime, series: int, chosen: str
    ) -> str:
        if connection is not self._connection:
            self._connection, self._until_us = connection, {}
        self.forget([hour for hour in self._until_us if hour not in hours])
        wanted = hours[-MOST_HOURS:] if series * _BUCKETS <= MOST_ROWS and not chosen else ()
        kept = [hour for hour in wanted if self._keep(connection, hour)]
        loose = [hour for hour in hours if hour not in kept]
        parts = [f"SELECT {COLUMNS} FROM recent_{hour}" for hour in kept]
        if loose:
            parts.append(self._made(_start(loose[0]), _start(loose[-1]) + HOUR, loose, chosen))
        parts += [
            self._made(_at(self._until_us[hour]), _start(hour) + HOUR, [hour], chosen)
            for hour in kept
            if self._until_us[hour] < min(_us(_start(hour) + HOUR), _us(until) + 1)
        ]
        return " UNION ALL ".join(parts)

    def _made(self, since: datetime, until: datetime, hours: Sequence[str], chosen: str) -> str:
        """Buckets of these hours that start in [since, until), from their samples and those a little before."""
        first, past = _us(since), _us(until)
        before = first - LOOK_BACK_US
        known = hours[0] in self._until_us and before >= _us(_start(hours[0]))
        oldest = since if known else since - LOOK_BACK
        rows = (
            f"(SELECT y.* FROM {self._samples(oldest, until)} y {chosen} "
            f"WHERE y.ts >= make_timestamptz({_us(oldest)}) AND y.ts < make_timestamptz({past})"
        )
        if known:
            rows += f" UNION ALL SELECT series, ts, last FROM recent_{hours[0]} WHERE ts >= make_timestamptz({before})"
        made = rollup_sql(f"{rows})")
        named = ", ".join(f"'{hour}'" for hour in hours)
        other = f" AND {HOUR_OF} IN ({named})" if past - first > len(hours) * _HOUR_US else ""
        return f"SELECT {COLUMNS} FROM ({made}) WHERE ts >= make_timestamptz({first}){other}"

    def _keep(self, connection: duckdb.DuckDBPyConnection, hour: str) -> bool:
        """Whether an hour has a table, which then holds all that is finished."""
        start = _start(hour)
        since = self._until_us.get(hour, _us(start))
        if since >= _us(start + HOUR):
            return True
        rows = f"(SELECT max(ts) AS newest FROM {self._samples(start, start + 2 * HOUR)})"
        ((newest,),) = connection.execute(f"SELECT coalesce(epoch_us(newest), 0) FROM {rows}").fetchall()
        until = min((int(newest) - GRACE_US) // BUCKET_US * BUCKET_US, _us(start + HOUR))
        if until > since:
            made = self._made(_at(since), _at(until), [hour], "")
            if hour in self._until_us:
                connection.execute(f"INSERT INTO recent_{hour} {made}")
            else:
                connection.execute(f"CREATE OR REPLACE TEMP TABLE recent_{hour} AS {made}")
            self._until_us[hour] = until
        return hour in self._until_us

    def _drop(self, hour: str) -> None:
        del self._until_us[hour]
        if self._connection is not None:
            self._connection.execute(f"DROP TABLE IF EXISTS recent_{hour}")


_HOUR_US = int(HOUR / timedelta(microseconds=1))
_BUCKETS = _HOUR_US // BUCKET_US


def _start(hour: str) -> datetime:
    return datetime.strptime(f"{hour}+0000", "%Y%m%d%H%z")


def _us(at: datetime) -> int:
    return int(instant(at).astype(np.int64))


def _at(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, tz=_start("2000010100").tzinfo)
