"""Why the database file failed: damage, which puts it aside, or something around it, which must not.

A file that another process holds, that this user may not open, or that does not fit in memory or on the disk is whole:
moving it aside would lose a history for nothing. So only what is not known to be one of these counts as damage.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

LEAST_FREE_BYTES = 4 << 20
DAMAGE = ("corrupt", "checksum", "not a valid duckdb", "serializ", "deserializ", "failed to read", "magic bytes")
OWN_MISTAKES = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.InterruptException,
    duckdb.TransactionException,
)
"""A statement that was wrong says nothing about the file."""
AROUND = (
    (r"permission denied|operation not permitted", "let user {user} read and write it, or choose another --dir"),
    (r"read-only file system", "mount it writable, or choose another --dir"),
    (r"is a directory|not a directory", "move what is in its place away, or choose another --dir"),
    (r"too many open files", "raise the limit of open files (ulimit -n)"),
    (r"input/output error|stale file handle", "check the disk under it (dmesg)"),
    (r"out of memory|cannot allocate memory", "raise memory_limit under [agent]"),
    (r"no space left|disk quota exceeded|file too large", "free disk space"),
    (r"newer version of duckdb", "upgrade streampilot, or choose another --dir"),
)  # fmt: skip
"""What the error says, and what then helps."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    damaged: bool
    """The file itself is broken, as far as the error says."""
    unclear: bool
    """It may be; a second failure in a row decides."""
    remedy: str
    """What to do where it is whole."""


def judge(error: Exception, path: Path) -> Failure:
    """What a failure to open or use the database at `path` means."""
    words = str(error).replace(str(path), "").lower()
    if "could not set lock" in words:
        held = re.search(r"\(pid (\d+)\)", words)
        return _whole(
            f"it is held by another process{f' ({held[1]})' if held else ''}: end that agent or choose another --dir"
        )
    if ".parquet" in words:
        return _whole("move the file that it names away: the database is as it was")
    for said, remedy in AROUND:
        if re.search(said, words):
            return _whole(remedy.format(user=os.geteuid()))
    if isinstance(error, OSError):
        return _whole("check the directory and its disk")
    if shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES:
        return _whole("free disk space")
    if isinstance(error, OWN_MISTAKES) and not any(word in words for word in DAMAGE):
        return _whole("report what was asked; the file is as it was")
    damaged = any(word in words for word in DAMAGE)
    return Failure(damaged=damaged, unclear=not damaged, remedy="move it away and start again")


def around(error: Exception) -> bool:
    """Whether it is about the machine around a file, and says nothing of what the file holds."""
    return any(re.search(said, str(error).lower()) for said, _ in AROUND)


def first_line(error: Exception) -> str:
    """An error in a line of bounded length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def _whole(remedy: str) -> Failure:
    return Failure(damaged=False, unclear=False, remedy=remedy)
