"""What shim.c wrote down, read back: every change and every sync of one process, in one order."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SHIM = Path(__file__).with_name("shim.c")
_HEAD = struct.Struct("<QIIIIQQQ")


class Op(IntEnum):
    CREATE = 1
    WRITE = 2
    SYNC_BEGIN = 3
    SYNC_END = 4
    TRUNCATE = 5
    EXTEND = 6
    RENAME = 7
    LINK = 8
    UNLINK = 9
    MKDIR = 10
    RMDIR = 11


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    stamp_ns: int
    """CLOCK_MONOTONIC, as `time.monotonic_ns` of any process of this machine."""
    op: Op
    inode: int
    a: int
    """Offset of a write, size of a truncation or an extension, the token that pairs a sync's begin and end."""
    first: str
    """A path; of a sync only when it is a directory's."""
    second: bytes
    """The bytes written, or the path that a rename or link goes to."""


class NoCompiler(Exception):
    """There is neither gcc nor cc."""


def build_shim(directory: Path) -> Path:
    """Compiles the shim into `directory`. NoCompiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompiler("the power-loss layer is compiled when it is used: install gcc (apt-get install gcc)")
    library = directory / "powerloss.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SHIM, "-ldl", "-lpthread"], check=True)
    return library


def records(path: Path) -> Iterator[Record]:
    """All whole records of a trace; the process may have been killed while it wrote the last one."""
    data = memoryview(path.read_bytes())
    at = 0
    while at + _HEAD.size <= len(data):
        stamp, op, first, second, _, inode, a, _ = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + first + second > len(data):
            return
        path_bytes, rest = bytes(data[at : at + first]), bytes(data[at + first : at + first + second])
        at += first + second
        yield Record(stamp_ns=stamp, op=Op(op), inode=inode, a=a, first=path_bytes.decode(), second=rest)
