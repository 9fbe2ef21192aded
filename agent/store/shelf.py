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
4. What `bring` gives was looked at (agent.store.guard): a damaged file costs queries its own rows and nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.model.codec import timestamp
from agent.store.bucket import Bucket, BucketAway
from agent.store.guard import Guard
from agent.store.hours import split_name
from agent.store.ledger import Ledger, Loss
from agent.store.mirror import Mirror
from agent.store.owner import Lease

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
        self,
        directory: Path,
        keep: Keep,
        bucket: Bucket | None,
        reading: AbstractContextManager[object],
        *,
        now: Callable[[], datetime],
        say: Callable[[str], None],
        lease: Callable[[Bucket, bool], Lease],
    ) -> None:
        """No file leaves for the bucket while `reading` is held; `lease` of a bucket, and whether this is empty."""
        self.keep = keep
        self._now = now
        self._say = say
        self._directory = directory
        self._hours = directory / "hours"
        self._rollups = directory / ROLLUPS
        for folder in (self._hours, self._rollups):
            folder.mkdir(parents=True, exist_ok=True)
            for draft in (*folder.glob("*.draft"), *folder.glob("*.fetched")):
                draft.unlink()
        self.mirror, self._lease = None, None
        if bucket is not None:
            empty = not self.series.exists() and not (directory / "samples.duckdb").exists()
            self._lease = lease(bucket, empty)
            with contextlib.suppress(BucketAway):
                self._lease.claim()
            self.mirror = Mirror(directory, bucket, keep.bytes, put=put, reading=reading, hold=self._lease.hold)
            if empty:
                self.mirror.adopt()
        self.ledger = Ledger(directory, put)
        self._guard = Guard(directory, self.ledger, self.mirror, now=now, say=say, spare=self._spare)
        with contextlib.suppress(OSError):  # a full disk takes the list later
            self.take_stock()

    def close(self) -> None:
        """Gives the bucket back."""
        with contextlib.suppress(BucketAway):
            if self._lease is not None:
                self._lease.release()

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
        """Those of the files that there are, whole, and in the directory by now; StoreError if the bucket is away."""
        wanted = list(files)
        if self.mirror is not None:
            self.mirror.bring(wanted)
        return self._guard.usable(wanted)

    def put(self, draft: Path, file: Path) -> None:
        """Gives a finished draft its name, durably."""
        put(draft, file)
        self._guard.trust(file)
        self.ledger.enter([_key(file)])

    def examine(self, files: Iterable[Path]) -> bool:
        """After a query over files failed: whether asking again makes sense, since some went or were put aside."""
        changed = self._guard.examine(files)
        if changed:
            self.take_stock()
        return changed

    def take_stock(self) -> None:
        """Notes which files were taken away by someone else, and which are back; writes the list."""
        there = {_key(file) for folder in (self._hours, self._rollups) for file in self._files(folder)}
        for key in self.ledger.absent(there):
            if self._spare(self._directory / key):
                self.ledger.strike([key])
                continue
            self.ledger.lose(Loss(key=key, what="gone", why="not removed by this agent", at=timestamp(self._now())))
            self._say(f"{self._directory / key} is gone, not by this agent; queries do without it")
        if back := self.ledger.found(there):
            self._say(f"back in {self._directory}: {', '.join(back[:12])}")
        self.ledger.enter(there)
        self.ledger.save()

    def scrub(self) -> None:
        """Looks at some files that no query has read yet, the newest first."""
        files = [file for folder in (self._hours, self._rollups) for file in folder.glob("*.parquet")]
        self._guard.scrub(sorted(files, key=lambda file: file.stem.rpartition("_")[2], reverse=True))

    def _spare(self, file: Path) -> bool:
        """Whether a file can be made anew: names from the database, rollups from all the samples behind them."""
        if file == self.series:
            return True
        span, hours = file.stem.rpartition("_")[2], self.sample_hours()
        if not file.stem.startswith(ROLLUPS) or not hours:
            return False
        return span in hours if len(span) == 10 else hours[0] <= f"{span}00"

    def changed_ns(self, file: Path) -> int | None:
        """When a file was changed last; None where there is none."""
        try:
            return file.stat().st_mtime_ns
        except FileNotFoundError:
            return self.mirror.stamp(file) if self.mirror is not None else None

    def remove(self, files: Iterable[Path]) -> None:
        """Deletes files, here and in the bucket."""
        gone = list(files)
        self.ledger.strike(map(_key, gone))
        for file in gone:
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
        files = group.pop(span)
        self.ledger.outlived(files[0].parent.name, span)
        self.remove(files)
        return span


def _key(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


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
