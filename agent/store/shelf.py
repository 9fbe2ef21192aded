"""The closed hours and days as files: where they are, how large, and which go when there are too many.

    hours/samples_2026112216.parquet     an hour of a kind (agent.store.hours)
    hours/series.parquet                 the names behind the numbers
    rollups/rollups_2026112216.parquet   an hour of five-minute buckets
    rollups/rollups_20261122.parquet     a day of them, without the hours that have a file of their own

Laws:
1. A file appears whole and synced under its name, or not at all.
2. What goes is the oldest first, by how many hours and days there are and how many bytes they hold, never by the wall
   clock: a clock that jumps ahead wipes nothing. Samples go before rollups, and the newest hour and day stay.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from agent.store.hours import split_name

ROLLUPS = "rollups"


@dataclass(frozen=True, kw_only=True)
class Keep:
    """How much is kept."""

    hours: int = 15 * 24
    """Of samples and snapshots."""
    days: int = 400
    """Of rollups."""
    bytes: int = 10 << 30
    """Of all files and the database together."""


class Shelf:
    """The files of one store."""

    def __init__(self, directory: Path, keep: Keep) -> None:
        self.keep = keep
        self._hours = directory / "hours"
        self._rollups = directory / ROLLUPS
        for folder in (self._hours, self._rollups):
            folder.mkdir(parents=True, exist_ok=True)
            for draft in folder.glob("*.draft"):
                draft.unlink()

    @property
    def series(self) -> Path:
        return self._hours / "series.parquet"

    def hour(self, name: str) -> Path:
        """The file of `samples_2026112216`."""
        return self._hours / f"{name}.parquet"

    def rollup(self, span: str) -> Path:
        """The file of an hour (`YYYYMMDDHH`) or a day (`YYYYMMDD`) of rollups."""
        return self._rollups / f"{ROLLUPS}_{span}.parquet"

    def rollup_spans(self) -> set[str]:
        """Hours and days that have a file of rollups."""
        return {file.stem.removeprefix(f"{ROLLUPS}_") for file in self._rollups.glob(f"{ROLLUPS}_*.parquet")}

    def hours(self, kind: str) -> list[str]:
        """Hours that have a file of a kind, the oldest first."""
        return sorted(file.stem.rpartition("_")[2] for file in self._hours.glob(f"{kind}_*.parquet"))

    def sample_hours(self) -> list[str]:
        """Hours that have a file of samples, the oldest first."""
        return self.hours("samples")

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for folder in (self._hours, self._rollups) for file in folder.iterdir())

    def forget(self, database_bytes: int) -> list[str]:
        """Deletes what is over the bounds, and names it."""
        hours = self._by_span(self._hours)
        days = self._by_span(self._rollups, length=8)
        gone = [self._drop(hours, span) for span in sorted(hours)[: -self.keep.hours]]
        gone += [self._drop(days, span) for span in sorted(days)[: -self.keep.days]]
        used = self.bytes + database_bytes
        for group in (hours, days):
            while used > self.keep.bytes and len(group) > 1:
                oldest = min(group)
                used -= sum(file.stat().st_size for file in group[oldest])
                gone.append(self._drop(group, oldest))
        return gone

    def _by_span(self, folder: Path, length: int = 10) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for file in folder.glob("*.parquet"):
            if split_name(file.stem) or file.stem.startswith(f"{ROLLUPS}_"):
                found[file.stem.rpartition("_")[2][:length]].append(file)
        return found

    def _drop(self, group: dict[str, list[Path]], span: str) -> str:
        for file in group.pop(span):
            file.unlink()
        return span


def put(draft: Path, file: Path) -> None:
    """Gives a finished draft its name, durably."""
    for path in (draft, file.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if path == draft:
            draft.replace(file)
