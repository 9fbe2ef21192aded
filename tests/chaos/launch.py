"""`python -m tests.chaos.launch ...`: a broker, with its time constants shortened, its clock and its local directory
under the harness's hand, and, when asked, one planted bug.

The product knows nothing of this: everything is put in place from outside before its `main` runs, as told by the
environment.

    STREAMPILOT_CHAOS   JSON of `Manner`
    STREAMPILOT_PLANT   a name of tests/chaos/planted.py
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from broker import main
from broker.clock import SystemClock
from broker.log.config import LogsConfig
from broker.metadata import Metadata
from broker.objects.local import LocalBackend
from broker.wal.ring import Ring
from tests.chaos.board import Board
from tests.chaos.planted import PLANTS

MANNER, PLANT = "STREAMPILOT_CHAOS", "STREAMPILOT_PLANT"


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a broker under test differs from one in the field."""

    board: str
    logs: dict[str, float] = field(default_factory=dict)
    """Fields of LogsConfig: lives and intervals that a test cannot wait for."""
    before_sync_ms: int = 0
    """A slow disk: a group waits this long before it is written,"""
    after_sync_ms: int = 0
    """and this long between being durable and being answered."""
    metadata_ms: int = 0
    """A slow metadata store: each write takes this much longer."""

    def environment(self, plant: str = "") -> dict[str, str]:
        return {MANNER: json.dumps(asdict(self)), PLANT: plant}


def shorten(times: dict[str, float]) -> None:
    """Other defaults for LogsConfig; what the product sets explicitly stays as it is."""
    defaults = LogsConfig.__init__.__kwdefaults__
    for name, value in times.items():
        if name not in defaults:
            raise KeyError(f"LogsConfig has no field {name}")
        defaults[name] = value


def steer_clock(board: Board) -> None:
    """The wall clock is off by what the board says; the monotonic one never is."""

    def wall_ms(_: SystemClock) -> int:
        return time.time_ns() // 1_000_000 + board.get("clock_offset_ms")

    SystemClock.wall_ms = wall_ms  # type: ignore[method-assign]


def slow_disk(before_ms: int, after_ms: int) -> None:
    """Makes the moments longer at which a kill shows what was promised too early."""
    write = Ring.write

    def slowly(self: Ring, *arguments: Any, **named: Any) -> Any:
        time.sleep(before_ms / 1000)
        try:
            return write(self, *arguments, **named)
        finally:
            time.sleep(after_ms / 1000)

    Ring.write = slowly  # type: ignore[method-assign]


def slow_metadata(milliseconds: int) -> None:
    """Nothing that is safe may rest on the metadata being quick."""
    write = Metadata.write

    async def slowly(self: Metadata, work: Callable[..., Any]) -> Any:
        await asyncio.sleep(milliseconds / 1000)
        return await write(self, work)

    Metadata.write = slowly  # type: ignore[method-assign]


class Mischief:
    """A local directory's bad days: a put that took effect and says it did not, and one that did nothing."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._awaited: dict[str, str] = {}

    def install(self) -> None:
        put = LocalBackend.put

        async def faulty_put(store: LocalBackend, key: str, data: bytes, *, create: bool) -> None:
            self.notice(key)
            if self._due("refused"):
                self._inject("refused", key)
                raise TimeoutError(f"{key}: the directory did not answer")
            await put(store, key, data, create=create)
            if self._due("ambiguous"):
                self._inject("ambiguous", key)
                raise TimeoutError(f"{key}: no answer, though it is there")

        LocalBackend.put = faulty_put  # type: ignore[method-assign]
        for name in ("get", "get_range", "head"):
            setattr(LocalBackend, name, self._noticing(getattr(LocalBackend, name)))

    def _noticing(self, read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def noticed(store: LocalBackend, key: str, *arguments: Any) -> Any:
            self.notice(key)
            return await read(store, key, *arguments)

        return noticed

    def notice(self, key: str) -> None:
        """Somebody comes back to a key that a fault was about."""
        if (kind := self._awaited.pop(key, None)) is not None:
            self._board.add(f"{kind}_observed")

    def _due(self, kind: str) -> bool:
        return self._board.get(f"{kind}_asked") > self._board.get(f"{kind}_injected")

    def _inject(self, kind: str, key: str) -> None:
        self._board.add(f"{kind}_injected")
        self._awaited[key] = kind


def prepare(manner: Manner, plant: str) -> None:
    """Everything that has to be in place before a broker is made."""
    board = Board(Path(manner.board))
    shorten(manner.logs)
    steer_clock(board)
    Mischief(board).install()
    if manner.before_sync_ms or manner.after_sync_ms:
        slow_disk(manner.before_sync_ms, manner.after_sync_ms)
    if manner.metadata_ms:
        slow_metadata(manner.metadata_ms)
    if plant:
        PLANTS[plant]()


if __name__ == "__main__":
    prepare(Manner(**json.loads(os.environ[MANNER])), os.environ.get(PLANT, ""))
    sys.exit(main.main())
