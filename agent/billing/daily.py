"""What the sources behind an API have in common: days, each asked for once it can be final, kept in a file.

Asking costs money, or is limited; so a day is kept when it was fetched after its last rows can have come, one that
is still open is asked for again only every `AGAIN_S`, and no more calls a day are made than `most_calls`.
The file is also where the calls are counted, so that a restart forgets neither rows nor money.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.billing.errors import BillError
from agent.model.clock import Clock

AGAIN_S = 6 * 3600.0
KEPT_DAYS = 31

BillRow = Mapping[str, Any]
"""FOCUS name to cell."""


class DayCache:
    """Days of rows in one JSON file, and the calls that they took."""

    def __init__(self, file: Path, clock: Clock, *, late_s: float, most_calls: int) -> None:
        self._file = file
        self._clock = clock
        self._late_s = late_s
        self._most_calls = most_calls
        self._days: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, int] = {}
        self._version = 0
        self._load()

    @property
    def state(self) -> str:
        """Another name whenever a day was stored."""
        return f"{self._file}:{self._version}"

    @property
    def calls(self) -> int:
        """Made in all."""
        return sum(self._calls.values())

    def rows(self) -> list[BillRow]:
        return [row for day in sorted(self._days) for row in self._days[day]["rows"]]

    def wanted(self) -> list[date]:
        """Days to ask for now: those never fetched, and open ones fetched too long ago. Today is never among them."""
        now = self._clock.now()
        days = [now.date() - timedelta(days=n) for n in range(KEPT_DAYS, 0, -1)]
        return [day for day in days if self._stale(day, now)]

    def count_call(self) -> None:
        """Before each call: refuses once the day's calls are used up."""
        today = self._clock.now().date().isoformat()
        if self._calls.get(today, 0) >= self._most_calls:
            raise BillError(f"{self._most_calls} calls were made today, the limit: the bill is read on tomorrow")
        self._calls[today] = self._calls.get(today, 0) + 1
        self._save()

    def store(self, rows: Mapping[date, Sequence[BillRow]]) -> None:
        """Replaces whole days."""
        now = self._clock.now()
        for day, found in rows.items():
            self._days[day.isoformat()] = {"fetched_at": now.isoformat(), "rows": list(found)}
        oldest = (now.date() - timedelta(days=2 * KEPT_DAYS)).isoformat()
        self._days = {day: kept for day, kept in self._days.items() if day >= oldest}
        self._version += 1
        self._save()

    def _stale(self, day: date, now: datetime) -> bool:
        kept = self._days.get(day.isoformat())
        if kept is None:
            return True
        fetched = datetime.fromisoformat(kept["fetched_at"])
        final = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, seconds=self._late_s)
        return fetched < final and (now - fetched).total_seconds() >= AGAIN_S

    def _load(self) -> None:
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            self._days, self._calls = dict(kept["days"]), dict(kept["calls"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BillError(
                f"{self._file} is damaged: {error}; move it away, and its days are asked for again"
            ) from error

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps({"days": self._days, "calls": self._calls}), "utf-8")
        beside.replace(self._file)


def day_row(day: date, **cells: Any) -> BillRow:
    """A row of one UTC day."""
    return {
        "ChargePeriodStart": f"{day.isoformat()}T00:00:00Z",
        "ChargePeriodEnd": f"{(day + timedelta(days=1)).isoformat()}T00:00:00Z",
        **cells,
    }
