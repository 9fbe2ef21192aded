"""A local directory as an object store: reads through `obstore`, writes that survive a power cut.

`obstore` issues no fsync on a directory, so we write, sync the file, give it its name, and sync the directory ourselves
(law 1).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import obstore

from broker.objects.backend import Listed, ObstoreBackend
from broker.objects.faults import Exists
from broker.objects.layout import Blob, Bytes

GENTLE_BYTES = 512 * 1024
"""Of a large object, handed to the disk at once. Beside four objects of 32 MiB a WAL's fdatasync took 75 to 140 ms
(p95) when each was written whole, and 7 to 10 ms so; the objects themselves were no slower (docs/decisions/0008).
"""

IOV_MAX = 1024
Result = TypeVar("Result")
_NUMBERS = itertools.count()
"""Part of a temporary name: a slow try and the one after it may not write to the same file."""


class LocalBackend(ObstoreBackend):
    """Made when it is not there."""

    patience_s = 30.0
    """A disk that is busy for seconds is no reason to write the same once more."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        super().__init__(obstore.store.LocalStore(str(root)))
        self._root = root

    async def put(self, key: str, blob: Blob, *, create: bool) -> None:
        await _in_thread(lambda: put_durably(self._root / key, blob, create))

    async def page(self, prefix: str, after: str, limit: int) -> Sequence[Listed]:
        """`obstore` walks a directory in no order, so that no page could begin where another ended."""
        return await _in_thread(lambda: heapq.nsmallest(limit, _walk(self._root, prefix, after)))


async def _in_thread(work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def _walk(root: Path, prefix: str, after: str) -> Iterator[Listed]:
    for directory, _, names in os.walk(root / prefix):
        for name in names:
            path = Path(directory) / name
            key = path.relative_to(root).as_posix()
            if key > after and not _is_temporary(name):
                try:
                    yield key, path.stat().st_size
                except FileNotFoundError:
                    continue


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def put_durably(path: Path, blob: Blob, create: bool) -> None:
    """File, then name, then directory: each durable before the next. Exists when `create` and the name is taken."""
    made = _make_directories(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{next(_NUMBERS)}.tmp")
    made_file = temporary.open("xb")  # two containers may share a pid and a directory: never one file for both
    try:
        with made_file as file:
            _write_gently(file.fileno(), blob.pieces)
            os.fsync(file.fileno())
        if create:
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise Exists(f"{path} exists") from None
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    for directory in {path.parent, *made}:
        _sync_directory(directory)


def _write_gently(fd: int, pieces: Sequence[Bytes]) -> None:
    """All of them, and never much that is not on the disk yet: the WAL, whose every acknowledgement waits for the same
    disk, would have to wait behind it.
    """
    for number, portion in enumerate(_portions(pieces)):
        if number:
            os.fdatasync(fd)
        while portion:
            written = os.writev(fd, portion)
            while portion and written >= len(portion[0]):
                written -= len(portion.popleft())
            if portion:  # the disk has just become full: the next write says so
                portion[0] = portion[0][written:]


def _portions(pieces: Iterable[Bytes]) -> Iterator[deque[memoryview]]:
    """`GENTLE_BYTES` or less at a time."""
    portion: deque[memoryview] = deque()
    room = GENTLE_BYTES
    for piece in pieces:
        left = memoryview(piece)
        while left:
            portion.append(left[:room])
            left = left[room:]
            room -= len(portion[-1])
            if not room or len(portion) == IOV_MAX:
                yield portion
                portion, room = deque(), GENTLE_BYTES
    if portion:
        yield portion


def _make_directories(directory: Path) -> list[Path]:
    """Makes what is missing; the parents whose entries must be synced for that."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
    return [one.parent for one in missing]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
