"""Names that survive a power cut: a file or directory is there after a crash only when the directory it is named in was
synced.
"""

from __future__ import annotations

import os
from pathlib import Path


def make_directory(path: Path) -> None:
    """Makes `path` and the parents it lacks, each durably named in the one above."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_directory(one.parent)


def sync_directory(path: Path) -> None:
    """Makes the names in it durable: without it a crash may lose a file whose bytes are safe."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
