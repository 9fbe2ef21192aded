"""Starts a broker below the power-loss layer, as it is or with one of its syncs planted away; flags as the broker's.

python -m tests.powerloss.launch PLANT --dir ... : PLANT is `none` or a key of PLANTS.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from typing import Any

from broker.wal import ring


def forget_ring_sync() -> None:
    """What the ring writes is not synced."""
    ring.write_durably = os.pwritev  # type: ignore[assignment]


def forget_directory_sync() -> None:
    """fsync of a directory of objects does nothing: the new name is durable some day."""
    sync = os.fsync

    def fsync(fd: Any) -> None:
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        if not (is_directory and "/objects" in os.readlink(f"/proc/self/fd/{fd}")):
            sync(fd)

    os.fsync = fsync


def forget_metadata_sync() -> None:
    """SQLite runs with synchronous=OFF, whatever it is told."""

    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> Any:
            if sql.upper().replace(" ", "").startswith("PRAGMASYNCHRONOUS="):
                sql = "PRAGMA synchronous=OFF"
            return super().execute(sql, *arguments)

    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **named: connect(*given, **{**named, "factory": Careless})  # type: ignore[assignment,misc]


PLANTS: dict[str, Callable[[], None]] = {
    "ring-sync": forget_ring_sync,
    "directory-sync": forget_directory_sync,
    "metadata-sync": forget_metadata_sync,
}


def main() -> int:
    plant, *flags = sys.argv[1:]
    if plant != "none":
        PLANTS[plant]()
    from broker.main import main as run_broker

    return run_broker(flags)


if __name__ == "__main__":
    sys.exit(main())
