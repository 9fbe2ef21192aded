"""Which files of closed hours there must be, and which are damaged or gone: `DIR/files.json`.

    {"files": ["hours/samples_2026112216.parquet", ...], "numbers": 10000,
     "lost": {"hours/samples_2026112217.parquet": {"what": "damaged", "why": "...", "at": "...", "kept_as": "..."}}}

Laws:
1. A file is entered once it is there and struck out before it is removed: what is entered and not there was taken away
   by someone else, or by the disk.
2. A loss is remembered until its hour is older than all that is kept: whoever asks for that hour is told.
3. Without the list (of an earlier release, or lost itself) the directory is the list.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from agent.store.hours import touches

NAME = "files.json"
MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A file that queries have to do without."""

    key: str
    """`hours/samples_2026112217.parquet`."""
    what: Literal["damaged", "gone"]
    why: str
    at: str
    """When it was found, RFC 3339."""
    kept_as: str = ""
    """Where a damaged one is now: a path, or an address in the bucket."""

    @property
    def kind(self) -> str:
        """samples, rollups, events, ..."""
        return self.key.rpartition("/")[2].rpartition("_")[0]

    @property
    def span(self) -> str:
        """The hour or day, `2026112217` or `20261122`; empty for the names of series."""
        return self.key.rpartition("_")[2].removesuffix(".parquet") if "_" in self.key else ""

    def __str__(self) -> str:
        where = f", kept as {self.kept_as}" if self.kept_as else ""
        return f"{self.key} is {self.what} since {self.at}: {self.why}{where}"


def in_words(losses: Sequence[Loss]) -> list[str]:
    """A line each for the first few, and how many more there are."""
    more = [f"{len(losses) - MOST_NAMED} more files are damaged or gone"] if len(losses) > MOST_NAMED else []
    return [*map(str, losses[:MOST_NAMED]), *more]


class Ledger:
    """The list of one store. Thread-safe."""

    def __init__(self, directory: Path, put: Callable[[Path, Path], None]) -> None:
        """`put` gives a draft its name, durably."""
        self._path = directory / NAME
        self._put = put
        self._lock = threading.RLock()
        self._files: set[str] = set()
        self._lost: dict[str, Loss] = {}
        self._dirty = False
        self._numbers = 0
        self._read()

    @property
    def numbers(self) -> int:
        """All numbers of series in files are below it."""
        return self._numbers

    def numbered(self, numbers: int) -> None:
        """Notes that files may have numbers up to this one; on the disk when this returns."""
        with self._lock:
            self._dirty |= numbers > self._numbers
            self._numbers = max(numbers, self._numbers)
            self.save()

    def enter(self, keys: Iterable[str]) -> None:
        """These are there."""
        with self._lock:
            new = set(keys) - self._files
            self._files |= new
            self._dirty |= bool(new)

    def strike(self, keys: Iterable[str]) -> None:
        """These are about to go, on purpose; on the disk when this returns."""
        with self._lock:
            old = set(keys) & self._files
            self._files -= old
            self._dirty |= bool(old)
            self.save()

    def absent(self, there: set[str]) -> list[str]:
        """Files that should be there, and are not."""
        with self._lock:
            return sorted(self._files - there)

    def lose(self, loss: Loss) -> None:
        """Remembers a loss; on the disk when this returns, as far as the disk takes it."""
        with self._lock:
            self._files.discard(loss.key)
            self._lost[loss.key] = loss
            self._dirty = True

    def found(self, there: set[str]) -> list[str]:
        """Files that were lost, are there and were not entered: someone brought them back, and they count again."""
        with self._lock:
            back = sorted(self._lost.keys() & there - self._files)
            for key in back:
                del self._lost[key]
            self._dirty |= bool(back)
            return back

    def losses(self, kinds: Iterable[str] = (), since: str = "", until: str = "") -> list[Loss]:
        """Of some kinds, or all; of spans that touch [since, until] (`YYYYMMDDHH`), or ever."""
        wanted = set(kinds)
        with self._lock:
            lost = [loss for loss in self._lost.values() if not wanted or loss.kind in wanted]
        return [loss for loss in lost if not since or (loss.span and touches(loss.span, since, until))]

    def outlived(self, folder: str, span: str) -> None:
        """Forgets losses in a folder that are no newer than a span which was dropped for its age."""
        with self._lock:
            for key, loss in list(self._lost.items()):
                if key.startswith(f"{folder}/") and loss.span and loss.span[: len(span)] <= span[: len(loss.span)]:
                    del self._lost[key]
                    self._dirty = True

    def save(self) -> None:
        """Writes what changed; OSError where the disk does not take it, and then the next call tries again."""
        with self._lock:
            if not self._dirty:
                return
            lost = {key: {k: v for k, v in asdict(loss).items() if k != "key"} for key, loss in self._lost.items()}
            draft = self._path.with_suffix(".draft")
            known = {"files": sorted(self._files), "numbers": self._numbers, "lost": lost}
            draft.write_text(json.dumps(known, indent=0))
            self._put(draft, self._path)
            self._dirty = False

    def _read(self) -> None:
        try:
            found = json.loads(self._path.read_text())
            self._lost = {str(key): Loss(key=str(key), **loss) for key, loss in found["lost"].items()}
            self._files = {str(key) for key in found["files"]}
            self._numbers = int(found["numbers"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._files, self._lost, self._numbers = set(), {}, 0
