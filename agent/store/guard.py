"""Keeps damaged files of closed hours from queries: each is looked at before its first use, and put aside if it is bad.

Laws:
1. Put aside is renamed, `NAME.parquet.corrupt-20261127T203000`, never deleted, and said. Where that cannot be done (a
   read-only disk), it stays, and is not read.
2. A file that is in the bucket too comes back from there. One that is damaged there is renamed there, to `corrupt/`.
3. Only contents are judged (agent.store.seal); trouble around a file is the query's own, and leaves it in its place.
4. What was whole once is looked at again when it changed, or when a query over it failed. At most `MOST_BYTES` are
   looked at for one query: `scrub` looks at the rest, some at a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from agent.model.codec import timestamp
from agent.store.errors import StoreError
from agent.store.ledger import Ledger, Loss
from agent.store.mirror import Mirror, Stamp, stamp_of
from agent.store.seal import decode, look

MOST_BYTES = 256 << 20
SCRUBBED_BYTES = 64 << 20
"""At least one file, and no more than so much, at each call."""


class Guard:
    """Of one store's files. Thread-safe as far as two threads may both look at a file."""

    def __init__(
        self,
        directory: Path,
        ledger: Ledger,
        mirror: Mirror | None,
        *,
        now: Callable[[], datetime],
        say: Callable[[str], None],
        spare: Callable[[Path], bool],
    ) -> None:
        """`spare`: whether a file can be made anew from others."""
        self._directory = directory
        self._ledger = ledger
        self._mirror = mirror
        self._now = now
        self._say = say
        self._spare = spare
        self._whole: dict[Path, Stamp] = {}
        self._bad: dict[Path, Stamp] = {}
        if mirror is not None:
            mirror.on_damage(self._lost_there)

    def usable(self, files: Sequence[Path]) -> list[Path]:
        """Those that are there and not known to be damaged, in the order that was given."""
        left = MOST_BYTES
        found = []
        for file in files:
            stamp = stamp_of(file)
            if stamp[1] and self._whole.get(file) != stamp and left > 0:
                left -= stamp[0]
                self._look(file)
                stamp = stamp_of(file)
            if stamp[1] and self._bad.get(file) != stamp:
                found.append(file)
        return found

    def examine(self, files: Iterable[Path]) -> bool:
        """After a query failed: whether any of its files went or was put aside, so that asking again makes sense."""
        changed = False
        for file in files:
            if not file.exists():
                changed = True
            elif file not in self._bad:
                with contextlib.suppress(OSError):
                    if problem := decode(file).problem:
                        self._put_aside(file, problem)
                        changed = True
        return changed

    def scrub(self, files: Iterable[Path]) -> None:
        """Looks at some that were not looked at yet; call it now and then."""
        left = SCRUBBED_BYTES
        for file in files:
            stamp = stamp_of(file)
            if left <= 0:
                return
            if stamp[1] and self._whole.get(file) != stamp and self._bad.get(file) != stamp:
                left -= stamp[0]
                self._look(file)
        self._whole = {file: stamp for file, stamp in self._whole.items() if file.exists()}

    def trust(self, file: Path) -> None:
        """It was just written."""
        self._whole[file] = stamp_of(file)

    def _look(self, file: Path) -> None:
        stamp = stamp_of(file)
        try:
            problem = look(file).problem
        except OSError:
            return  # it went, or the query will say it, with the remedy
        if problem:
            self._put_aside(file, problem)
        else:
            self._whole[file] = stamp

    def _put_aside(self, file: Path, why: str) -> None:
        key, at = f"{file.parent.name}/{file.name}", self._now()
        kept = free_name(file, at)
        self._whole.pop(file, None)
        try:
            file.replace(kept)
        except OSError as error:
            self._bad[file] = stamp_of(file)
            kept, why = file, f"{why} (and cannot be renamed: {error.strerror})"
        said = f"{file} {why} and is kept as {kept.name}"
        if self._mirror is not None and kept != file and self._mirror.has(file):
            with contextlib.suppress(StoreError):
                self._mirror.bring([file])
            if file.exists():
                self._say(f"{said}; it came back whole from {self._mirror.url}")
                return
        self._lose(key, why, str(kept), said, at)

    def _lost_there(self, key: str, why: str, kept: str) -> None:
        self._lose(key, why, kept, f"{key} in the bucket {why} and is kept as {kept}", self._now())

    def _lose(self, key: str, why: str, kept: str, said: str, at: datetime) -> None:
        if self._spare(self._directory / key):
            self._say(f"{said}; it is made anew from what it was made of")
            self._ledger.strike([key])
            return
        self._ledger.lose(Loss(key=key, what="damaged", why=why, at=timestamp(at), kept_as=kept))
        self._say(f"{said}; queries do without it")


def free_name(file: Path, at: datetime) -> Path:
    """`NAME.corrupt-20261127T203000`, with a number behind it where that is taken."""
    name = f"{file.name}.corrupt-{at:%Y%m%dT%H%M%S}"
    tries = (name, *(f"{name}-{n}" for n in range(1, 1000)))
    return next(found for each in tries if not (found := file.with_name(each)).exists())
