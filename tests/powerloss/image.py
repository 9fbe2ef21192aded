"""A disk that loses power: what of a trace must be there afterwards, and what may be.

1. What a file's sync covered is there. Of the changes since, any subset may be, each whole or torn at sectors.
2. A name is there once its directory was synced. Of the changes to a directory since, any subset may be: a new name may
   be missing, an old one may be back, a file may be under its old name, its new one, or both.
3. A file's bytes and its names know nothing of each other: a name may be durable before what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.powerloss.trace import Op, Record

SECTORS = (512, 4096)
HOLE = 64 * 1024
NOT_DURABLE = ("-shm",)
"""SQLite's shared memory: made anew by the first who opens the database."""


@dataclass(kw_only=True, slots=True)
class Change:
    """To a file: `data` written at `at`, or, without data, the size set to `at` (or to at least `at`)."""

    number: int
    at: int
    data: bytes | None = None
    grow: bool = False


@dataclass(kw_only=True, slots=True)
class File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def settle(self, before: int) -> None:
        """Everything numbered below `before` is on the disk."""
        while self.pending and self.pending[0].number < before:
            apply(self.durable, self.pending.pop(0))


@dataclass(kw_only=True, slots=True)
class Directory:
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[tuple[int, dict[str, Node | None]]] = field(default_factory=list)
    """(number, what the names stand for after it; None: gone)."""

    def settle(self, before: int) -> None:
        while self.pending and self.pending[0][0] < before:
            rename(self.durable, self.pending.pop(0)[1])


Node = File | Directory


def apply(content: bytearray, change: Change) -> None:
    """Makes one change to a file's content; what a write leaves out in front of it are zeros."""
    if change.data is not None:
        if len(content) < change.at:
            content.extend(bytes(change.at - len(content)))
        content[change.at : change.at + len(change.data)] = change.data
    elif len(content) < change.at:
        content.extend(bytes(change.at - len(content)))
    elif not change.grow:
        del content[change.at :]


def rename(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    """Makes one change to a directory's names."""
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """Fed with a trace, record by record; `lose_power` says what is found afterwards."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = Directory()
        self._live: dict[str, Node] = {self._root: self._top}
        self._inodes: dict[int, File] = {}
        self._syncs: dict[int, int] = {}
        self._number = 0

    def feed(self, record: Record) -> None:
        self._number += 1
        match record.op:
            case Op.CREATE:
                file = self._inodes[record.inode] = File()
                self._name(record.first, file)
            case Op.WRITE:
                self._change(record.inode, Change(number=self._number, at=record.a, data=record.second))
            case Op.TRUNCATE | Op.EXTEND:
                change = Change(number=self._number, at=record.a, grow=record.op is Op.EXTEND)
                self._change(record.inode, change)
            case Op.SYNC_BEGIN:
                self._syncs[record.a] = self._number
            case Op.SYNC_END:
                node = self._live[record.first] if record.first else self._inodes[record.inode]
                node.settle(self._syncs.pop(record.a))
            case Op.RENAME:
                self._move(record.first, record.second.decode())
            case Op.LINK:
                self._name(record.second.decode(), self._live[record.first])
            case Op.UNLINK | Op.RMDIR:
                self._unname(record.first)
            case Op.MKDIR:
                self._name(record.first, Directory())

    def _change(self, inode: int, change: Change) -> None:
        self._inodes[inode].pending.append(change)

    def _name(self, path: str, node: Node) -> None:
        self._live[path] = node
        self._note(path, {_leaf(path): node})

    def _unname(self, path: str) -> None:
        self._live.pop(path, None)
        self._note(path, {_leaf(path): None})

    def _move(self, old: str, new: str) -> None:
        node = self._live.pop(old)
        self._live[new] = node
        if _parent(old) == _parent(new):
            self._note(new, {_leaf(old): None, _leaf(new): node})
        else:
            self._note(new, {_leaf(new): node})
            self._note(old, {_leaf(old): None})

    def _note(self, path: str, change: dict[str, Node | None]) -> None:
        parent = self._live[_parent(path)]
        assert isinstance(parent, Directory), path
        parent.pending.append((self._number, change))

    def lose_power(self, into: Path, rng: Random) -> str:
        """Writes one of the disks that a power cut at this moment may leave; the kind of luck it had."""
        mood = rng.choices(("nothing unsynced was kept", "any of it", "all of it"), (3, 6, 1))[0]
        keep = {"nothing unsynced was kept": 0.0, "any of it": rng.choice((0.2, 0.5, 0.8)), "all of it": 1.0}[mood]
        self._leave(self._top, into, lambda: rng.random() < keep, rng)
        return mood

    def _leave(self, directory: Directory, into: Path, kept: Callable[[], bool], rng: Random) -> None:
        into.mkdir()
        names = dict(directory.durable)
        for _, change in directory.pending:
            if kept():
                rename(names, change)
        for name, node in names.items():
            if isinstance(node, Directory):
                self._leave(node, into / name, kept, rng)
            elif not name.endswith(NOT_DURABLE):
                write_sparse(into / name, left(node, kept, rng))


def left(file: File, kept: Callable[[], bool], rng: Random) -> bytearray:
    """What a file may hold: its durable content, and of each later change all, nothing, or some sectors."""
    content = bytearray(file.durable)
    for change in file.pending:
        if kept():
            apply(content, change)
        elif change.data is not None and kept():
            for piece in torn(change, rng):
                apply(content, piece)
    return content


def torn(change: Change, rng: Random) -> Iterable[Change]:
    """Some of a write's sectors, as a disk that lost power within it."""
    assert change.data is not None
    sector, end = rng.choice(SECTORS), change.at + len(change.data)
    start = change.at
    while start < end:
        stop = min((start // sector + 1) * sector, end)
        if rng.random() < 0.5:
            yield Change(number=change.number, at=start, data=change.data[start - change.at : stop - change.at])
        start = stop


def write_sparse(path: Path, content: bytearray) -> None:
    """The file, with holes where there are long runs of zeros: a ring is mostly that."""
    with path.open("wb") as file:
        view, zeros = memoryview(content), bytes(HOLE)
        for at in range(0, len(content), HOLE):
            piece = view[at : at + HOLE]
            if piece != zeros[: len(piece)]:
                file.seek(at)
                file.write(piece)
        file.truncate(len(content))


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _leaf(path: str) -> str:
    return path.rpartition("/")[2]
