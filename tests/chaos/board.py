"""A few numbers that the harness and a broker under test share: one mapped file per broker, which outlives the broker.

Each number has one writer: the harness asks, the broker counts what it did and what came of it. So nothing needs a
lock, and a broker that is killed leaves its counts behind.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

NAMES = (
    "clock_offset_ms",
    "ambiguous_asked",
    "ambiguous_injected",
    "ambiguous_observed",
    "refused_asked",
    "refused_injected",
    "refused_observed",
)
_NUMBER = struct.Struct("<q")


class Board:
    """Numbers by name, as they are at this moment."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_NUMBER.size * len(NAMES)))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def get(self, name: str) -> int:
        return int(_NUMBER.unpack_from(self._memory, NAMES.index(name) * _NUMBER.size)[0])

    def set(self, name: str, value: int) -> None:
        _NUMBER.pack_into(self._memory, NAMES.index(name) * _NUMBER.size, value)

    def add(self, name: str, more: int = 1) -> None:
        self.set(name, self.get(name) + more)
