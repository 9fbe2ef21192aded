"""What the meter charged, hour by hour, on disk: a bill comes a day later, and must find something to be held against.

Laws:
1. Only time that was watched is charged, and how much of each hour was watched is kept beside it: a gap is a gap.
2. At most a minute is lost when the process dies; money and watched time are written in one transaction.
3. Bounded: `KEPT_DAYS` of hours, and at most `MOST_RESOURCES` resources a minute; what comes after is one line more.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from agent.billing.errors import LedgerError
from agent.model.resource import parts
from agent.store.usage import Charge

HOUR_S = 3600
KEPT_DAYS = 62
MOST_RESOURCES = 2_000
REST = "(rest)"
WRITE_EVERY_S = 60.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS spent(hour INTEGER NOT NULL, component TEXT NOT NULL, resource TEXT NOT NULL,
    usd REAL NOT NULL, PRIMARY KEY (hour, component, resource)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watched(hour INTEGER PRIMARY KEY, seconds REAL NOT NULL, written_bytes REAL NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """One component of one resource over one stretch."""

    at: datetime
    """The stretch's start."""
    component: str
    resource: str
    usd: float


@dataclass(frozen=True, kw_only=True)
class Watched:
    at: datetime
    """The hour."""
    seconds: float
    written_bytes: float


class Ledger:
    """`DIR/meter.sqlite`. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._spent: dict[tuple[int, str, str], float] = defaultdict(float)
        self._watched: dict[int, tuple[float, float]] = {}
        self._pending_s = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"cannot open {path}: {error}; if it is damaged, move it away: a new one is begun"
            ) from error

    def record(self, since: datetime, until: datetime, charges: Iterable[Charge], written_per_s: float = 0.0) -> None:
        """Charges that held from `since` to `until`, split at each hour; on disk within a minute of watched time."""
        known = list(charges)
        with self._lock:
            for hour, seconds in _hours(since, until):
                had_s, had_bytes = self._watched.get(hour, (0.0, 0.0))
                self._watched[hour] = (had_s + seconds, had_bytes + written_per_s * seconds)
                for charge in known:
                    key = (hour, charge.component, charge.for_resource)
                    if key not in self._spent and len(self._spent) >= MOST_RESOURCES:
                        key = (hour, charge.component, REST)
                    self._spent[key] += charge.usd_per_hour * seconds / HOUR_S
                self._pending_s += seconds
            if self._pending_s >= WRITE_EVERY_S:
                self._write(until)

    def spent(self, since: datetime, until: datetime) -> list[Spent]:
        """Hours in [since, until), by component and resource, in order."""
        rows = self._read(
            "SELECT hour, component, resource, usd FROM spent WHERE hour >= ? AND hour < ? ORDER BY 1, 2, 3",
            since,
            until,
        )
        return [
            Spent(at=_moment(hour), component=component, resource=resource, usd=usd)
            for hour, component, resource, usd in rows
        ]

    def watched(self, since: datetime, until: datetime) -> list[Watched]:
        """How much of each hour in [since, until) was watched."""
        rows = self._read(
            "SELECT hour, seconds, written_bytes FROM watched WHERE hour >= ? AND hour < ? ORDER BY 1", since, until
        )
        return [Watched(at=_moment(hour), seconds=seconds, written_bytes=size) for hour, seconds, size in rows]

    def watched_share(self, day: date) -> float:
        """How much of a UTC day was watched, 0 to 1."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return sum(hour.seconds for hour in self.watched(start, start + timedelta(days=1))) / 86_400

    def flush(self, at: datetime) -> None:
        """Writes what is pending."""
        with self._lock:
            self._write(at)

    def close(self) -> None:
        """Writes what is pending and closes."""
        with self._lock:
            self._write(None)
            self._connection.close()

    def _write(self, at: datetime | None) -> None:
        spent = [(hour, component, resource, usd) for (hour, component, resource), usd in self._spent.items()]
        watched = [(hour, seconds, size) for hour, (seconds, size) in self._watched.items()]
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT INTO spent VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (hour, component, resource) DO UPDATE SET usd = usd + excluded.usd",
                    spent,
                )
                self._connection.executemany(
                    "INSERT INTO watched VALUES (?, ?, ?) ON CONFLICT (hour) DO UPDATE SET "
                    "seconds = seconds + excluded.seconds, written_bytes = written_bytes + excluded.written_bytes",
                    watched,
                )
                if at is not None:
                    oldest = int((at - timedelta(days=KEPT_DAYS)).timestamp()) // HOUR_S
                    self._connection.execute("DELETE FROM spent WHERE hour < ?", (oldest,))
                    self._connection.execute("DELETE FROM watched WHERE hour < ?", (oldest,))
        except sqlite3.Error as error:
            raise LedgerError(f"cannot write {self.path}: {error}; what was metered is kept in memory") from error
        self._spent.clear()
        self._watched.clear()
        self._pending_s = 0.0

    def _read(self, sql: str, since: datetime, until: datetime) -> list[tuple]:  # type: ignore[type-arg]
        bounds = (int(since.timestamp()) // HOUR_S, -(-int(until.timestamp()) // HOUR_S))
        with self._lock:
            self._write(None)
            return self._connection.execute(sql, bounds).fetchall()


def cluster_of(path: Path) -> str | None:
    """Whose money a file holds, by the resources it was spent on; None where there is no file, or nothing in it yet."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=5.0)) as connection:
            row = connection.execute("SELECT resource FROM spent WHERE resource LIKE '%/%' LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(f"cannot read {path}: {error}; if it is damaged, move it away") from error
    return parts(str(row[0]))[0] if row else None


def _hours(since: datetime, until: datetime) -> Iterable[tuple[int, float]]:
    """The hours of a stretch with the seconds that fall into each."""
    start, end = since.timestamp(), until.timestamp()
    while start < end:
        hour = int(start) // HOUR_S
        stop = min(end, float((hour + 1) * HOUR_S))
        yield hour, stop - start
        start = stop


def _moment(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_S, UTC)
