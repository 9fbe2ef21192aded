"""The closed hours and days as files: where they are, how large, and which go when there are too many.

    hours/samples_2026112216.parquet     an hour of a kind (agent.store.hours)
    hours/series.parquet                 the names behind the numbers
    rollups/rollups_2026112216.parquet   an hour of five-minute buckets
    rollups/rollups_20261122.parquet     a day of them, without the hours that have a file of their own

Laws:
1. A file appears whole and synced under its name, or not at all.
2. What goes is the oldest first, by how many hours and days there are and how many bytes they hold, never by the wall
   clock: a clock that jumps ahead wipes nothing. Samples go before rollups, and the newest hour and day stay.
3. With a bucket (agent.store.mirror) a file may be there only: `bring` it before it is read.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from agent.store.bucket import Bucket
from agent.store.hours import split_name
from agent.store.mirror import Mirror

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

    def __init__(
        self, directory: Path, keep: Keep, bucket: Bucket | None, reading: AbstractContextManager[object]
    ) -> None:
        """No file leaves for the bucket while `reading` is held."""
        self.keep = keep
        self._hours = directory / "hours"
        self._rollups = directory / ROLLUPS
        for folder in (self._hours, self._rollups):
            folder.mkdir(parents=True, exist_ok=True)
            for draft in (*folder.glob("*.draft"), *folder.glob("*.fetched")):
                draft.unlink()
        self.mirror = Mirror(directory, bucket, keep.bytes, put=put, reading=reading) if bucket is not None else None
        if self.mirror is not None and not self.series.exists() and not (directory / "samples.duckdb").exists():
            self.mirror.adopt()

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
        return {file.stem.removeprefix(f"{ROLLUPS}_") for file in self._files(self._rollups) if ROLLUPS in file.stem}

    def hours(self, kind: str) -> list[str]:
        """Hours that have a file of a kind, the oldest first."""
        named = [split_name(file.stem) for file in self._files(self._hours)]
        return sorted(name[1] for name in named if name is not None and name[0] == kind)

    def bring(self, files: Iterable[Path]) -> list[Path]:
        """Those of the files that there are, each of them in the directory now; StoreError if the bucket is away."""
        wanted = list(files)
        if self.mirror is not None:
            self.mirror.bring(wanted)
        return [file for file in wanted if file.exists()]

    def changed_ns(self, file: Path) -> int | None:
        """When a file was changed last; None where there is none."""
        try:
            return file.stat().st_mtime_ns
        except FileNotFoundError:
            return self.mirror.stamp(file) if self.mirror is not None else None

    def remove(self, file: Path) -> None:
        """Deletes a file, here and in the bucket."""
        file.unlink(missing_ok=True)
        if self.mirror is not None:
            self.mirror.doom(file)

    def _files(self, folder: Path) -> set[Path]:
        found = set(folder.glob("*.parquet"))
        return found if self.mirror is None else found | {folder / name for name in self.mirror.names(folder.name)}

    def sample_hours(self) -> list[str]:
        """Hours that have a file of samples, the oldest first."""
        return self.hours("samples")

    @property
    def bytes(self) -> int:
        return sum(_size(file) for folder in (self._hours, self._rollups) for file in folder.iterdir())

    def forget(self, database_bytes: int) -> list[str]:
        """Deletes what is over the bounds, and names it; what the bucket has only leaves the directory, unnamed."""
        hours = _by_span(self._files(self._hours))
        days = _by_span(self._files(self._rollups), length=8)
        gone = [self._drop(hours, span) for span in sorted(hours)[: -self.keep.hours]]
        gone += [self._drop(days, span) for span in sorted(days)[: -self.keep.days]]
        used = self.bytes + database_bytes
        if self.mirror is not None:
            used -= self.mirror.evict(used - self.keep.bytes)
            hours, days = (
                _by_span(set(folder.glob("*.parquet")), length)
                for folder, length in ((self._hours, 10), (self._rollups, 8))
            )
        for group in (hours, days):
            while used > self.keep.bytes and len(group) > 1:
                oldest = min(group)
                used -= sum(_size(file) for file in group[oldest])
                gone.append(self._drop(group, oldest))
        return gone

    def _drop(self, group: dict[str, list[Path]], span: str) -> str:
        for file in group.pop(span):
            self.remove(file)
        return span


def _by_span(files: set[Path], length: int = 10) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(files):
        if split_name(file.stem) or file.stem.startswith(f"{ROLLUPS}_"):
            found[file.stem.rpartition("_")[2][:length]].append(file)
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


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
