"""Which files are in the bucket, and their way there and back: the directory is then a cache that `max_disk` bounds.

    DIR/hours/..., DIR/rollups/...   what is here: not in the bucket yet, or used lately
    DIR/bucket.json                  what is in the bucket, as of the last upload: size and time of change of each file

Laws:
1. A file leaves the directory only once it is in the bucket as it is here; one that was written anew goes there again.
   Killed at any point, a file is uploaded twice and never lost, and as it keeps its name it is never read twice.
2. The names of series go there before the samples that use their numbers. They never leave the directory, nor do the
   newest rollups.
3. What is to go (retention, hours that became a day) is deleted in the bucket after every upload that was due.
4. A bucket that does not answer costs no sample: files stay here, and only above `max_disk` do the oldest go.
5. An object that is damaged, twice as it came, is renamed to `corrupt/...` in the bucket, and not asked for again.
6. What is read comes back whole under its name first; the least recently used makes room, and a question that needs
   more than half of `max_disk` is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from agent.store.bucket import Bucket, BucketAway, Gone
from agent.store.errors import StoreError
from agent.store.seal import decode, look

FOLDERS = ("hours", "rollups")
SERIES = "hours/series.parquet"
NAMED = ("rollups/rollups_2026112216.parquet", "rollups/rollups_20261122.parquet")
SAVE_EVERY = 50
"""Uploads after which the list is written: a crash costs so many again."""
Stamp = tuple[int, int]
"""Bytes, and nanoseconds of the last change."""


class Mirror:
    """The bucket's side of one store's files. Thread-safe."""

    def __init__(
        self,
        directory: Path,
        bucket: Bucket,
        most_bytes: int,
        *,
        put: Callable[[Path, Path], None],
        reading: AbstractContextManager[object],
        hold: Callable[[], None],
    ) -> None:
        """`put` gives a draft its name; nothing is evicted while `reading` is held; `hold` raises BucketAway where
        the prefix is not this agent's to write to."""
        self._hold = hold
        self.url = bucket.url
        self._directory = directory
        self._bucket = bucket
        self._most_bytes = most_bytes
        self._put = put
        self._reading = reading
        self._lock = threading.RLock()
        self._fetching = threading.Lock()
        self._there: dict[str, Stamp] = {}
        self._doomed: set[str] = set()
        self._aside: dict[str, str] = {}
        """Damaged objects, and the names that they are to have."""
        self._damaged: Callable[[str, str, str], None] = lambda key, why, kept: None
        self._used: dict[str, int] = {}
        self._uses = 0
        self._listed = False
        self._problem = ""
        self._vanished: set[str] = set()
        self._dirty = False
        self._read_list()

    def on_damage(self, damaged: Callable[[str, str, str], None]) -> None:
        """Who is told of an object that is damaged: its key, why, and where it is kept."""
        self._damaged = damaged

    def has(self, file: Path) -> bool:
        """Whether the bucket has it, as of the last look."""
        with self._lock:
            return self._key(file) in self._there

    def names(self, folder: str) -> set[str]:
        """File names of a folder that are in the bucket."""
        with self._lock:
            return {key.rpartition("/")[2] for key in self._there if key.startswith(f"{folder}/")}

    def stamp(self, file: Path) -> int | None:
        """When a file was changed last, by the bucket's list."""
        with self._lock:
            found = self._there.get(self._key(file))
        return found[1] if found else None

    def adopt(self) -> None:
        """For a directory that knows nothing yet: the names of series that the bucket has. StoreError if it is away."""
        try:
            self._look()
            if SERIES in self._there:
                self._fetch([SERIES])
        except BucketAway as error:
            raise StoreError(
                f"{error}; it may hold the names of this agent's series, so it must answer at the first start: "
                "check the address, the credentials and the network"
            ) from error

    # There

    def sync(self) -> list[str]:
        """Uploads what is due and deletes what is to go; what there is to say about it."""
        try:
            self._hold()
            if not self._listed:
                self._look()
            self._rename()
            sent = self._upload()
            with self._lock:
                doomed = sorted(self._doomed)
            if doomed:
                self._bucket.delete(doomed)
            with self._lock:
                self._doomed.difference_update(doomed)
                self._dirty |= bool(doomed)
        except BucketAway as error:
            self._problem = str(error)
            return [f"{error}; closed hours stay here until it answers, within max_disk"]
        finally:
            self._save()
        before, self._problem = self._problem, ""
        with self._lock:
            vanished, self._vanished = sorted(self._vanished), set()
        said = [f"{self.url} answers again: {sent} files went there"] if before else []
        return said + [f"gone from {self.url}, not by this agent: {', '.join(vanished[:5])}"] * bool(vanished)

    def _look(self) -> None:
        """Takes over what the bucket lists: of a directory that was lost, or of an upload that was cut off."""
        listed = self._bucket.listed()
        with self._lock:
            self._there = {key: stamp for key, stamp in self._there.items() if key in listed}
            for key, held in listed.items():
                known = key in self._there or key in {*self._doomed, *self._aside} or (self._directory / key).exists()
                if not known and key.startswith(tuple(f"{folder}/" for folder in FOLDERS)):
                    self._there[key] = (held.bytes, held.changed_ns)
            self._listed = self._dirty = True

    def _upload(self) -> int:
        due = self._due()
        for sent, key in enumerate(due, start=1):
            file = self._directory / key
            stamp = stamp_of(file)
            if not stamp[1] or look(file).problem:  # gone or damaged meanwhile: the shelf sees to that
                continue
            self._bucket.put(key, file)
            with self._lock:
                self._there[key] = stamp
                self._doomed.discard(key)
                self._dirty = True
            if sent % SAVE_EVERY == 0:
                self._save()
        return len(due)

    def _due(self) -> list[str]:
        files = [file for folder in FOLDERS for file in sorted((self._directory / folder).glob("*.parquet"))]
        with self._lock:
            due = [key for file in files if self._there.get(key := self._key(file)) != stamp_of(file)]
        return sorted(due, key=lambda key: key != SERIES)

    # And back

    def bring(self, files: Sequence[Path]) -> None:
        """Makes files be here that are in the bucket; StoreError where that cannot be done."""
        wanted = [self._key(file) for file in files]
        with self._lock:
            for key in wanted:
                self._uses += 1
                self._used[key] = self._uses
        missing, needed = self._missing(wanted)
        if not missing:
            return
        if needed > self._most_bytes // 2:
            raise StoreError(
                f"{needed} bytes of {self.url} would have to come here, of {self._most_bytes // 2} that may: "
                "ask for a shorter time, or raise max_disk under [agent]"
            )
        self.evict(self._bytes() + needed - self._most_bytes, keep=wanted)
        with self._fetching:
            try:
                self._fetch(self._missing(wanted)[0])
            except BucketAway as error:
                raise StoreError(f"{error}; ask for a time that is still here, or again when it answers") from error
            except OSError as error:
                raise StoreError(f"what {self.url} gave cannot be kept here: {error}") from error

    def _missing(self, wanted: Sequence[str]) -> tuple[list[str], int]:
        gone = [key for key in wanted if not (self._directory / key).exists()]
        with self._lock:
            missing = [key for key in gone if key in self._there]
            return missing, sum(self._there[key][0] for key in missing)

    def _fetch(self, keys: Iterable[str]) -> None:
        for key in keys:
            with self._lock:
                _, changed_ns = self._there[key]
            file = self._directory / key
            draft = file.with_suffix(".fetched")
            try:
                problem = self._get(key, draft)
            except Gone:
                with self._lock:
                    self._there.pop(key, None)
                    self._vanished.add(key)
                    self._dirty = True
                continue
            if problem:
                self._set_aside(key, problem)
                draft.unlink()
                continue
            os.utime(draft, ns=(changed_ns, changed_ns))
            with self._lock:
                self._there[key] = stamp_of(draft)
            self._put(draft, file)

    def _get(self, key: str, draft: Path) -> str:
        """What is wrong with an object, which may have been its way here: so it is asked for twice."""
        problem = ""
        for _ in range(2):
            self._bucket.get(key, draft)
            if not (problem := decode(draft).problem):
                break
        return problem

    def _set_aside(self, key: str, problem: str) -> None:
        with self._lock:
            _, changed_ns = self._there.pop(key)
            kept = self._aside[key] = f"corrupt/{key}.{changed_ns // 1_000_000}"
            self._dirty = True
        self._damaged(key, problem, f"{self.url}/{kept}")

    def _rename(self) -> None:
        """Before an upload, which may be of a file that takes the damaged one's place."""
        with self._lock:
            aside = dict(self._aside)
        for key, kept in aside.items():
            with contextlib.suppress(Gone):
                self._bucket.rename(key, kept)
            with self._lock:
                del self._aside[key]
                self._dirty = True

    def evict(self, over: int, keep: Sequence[str] = ()) -> int:
        """Removes files here that are in the bucket until `over` bytes are free, the least used first; how many."""
        freed = 0
        with self._reading, self._lock:
            kept = {SERIES, *keep, *self._newest_rollups()}
            there = [key for key in self._there if key not in kept]
            for key in sorted(there, key=lambda key: (self._used.get(key, 0), key.rpartition("_")[2])):
                if freed >= over:
                    break
                file = self._directory / key
                if file.exists() and stamp_of(file) == self._there[key]:
                    file.unlink()
                    freed += self._there[key][0]
                    self._used.pop(key, None)
        return freed

    def _newest_rollups(self) -> list[str]:
        """Of hours and of days: the next hour begins where they end, and must not wait for the bucket."""
        rollups = [key for key in self._there if key.startswith("rollups/")]
        return [max((key for key in rollups if len(key) == length), default="") for length in map(len, NAMED)]

    def doom(self, file: Path) -> None:
        """It is to go from the bucket, and counts as gone."""
        with self._lock:
            key = self._key(file)
            if self._there.pop(key, None) is not None:
                self._doomed.add(key)
                self._dirty = True
                self._used.pop(key, None)

    # The list

    def _key(self, file: Path) -> str:
        return f"{file.parent.name}/{file.name}"

    def _bytes(self) -> int:
        return sum(stamp_of(file)[0] for folder in FOLDERS for file in (self._directory / folder).glob("*.parquet"))

    def _read_list(self) -> None:
        try:
            found = json.loads((self._directory / "bucket.json").read_text())
            if found["url"] == self.url:
                self._there = {key: (int(size), int(ns)) for key, (size, ns) in found["files"].items()}
                self._doomed = set(found["doomed"])
            self._aside = dict(found.get("aside", {}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # the bucket's own list says it all again

    def _save(self) -> None:
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            known = {"url": self.url, "files": self._there, "doomed": sorted(self._doomed), "aside": self._aside}
            text = json.dumps(known)
        draft = self._directory / "bucket.json.draft"
        draft.write_text(text)
        self._put(draft, self._directory / "bucket.json")


def stamp_of(file: Path) -> Stamp:
    """Of a file as it is here; zeroes where it is not."""
    try:
        about = file.stat()
    except FileNotFoundError:
        return (0, 0)
    return (about.st_size, about.st_mtime_ns)
