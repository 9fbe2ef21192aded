"""What every WAL kind does: take entries in order, say when they are durable, give them back after a crash, forget them
when told.

1. `append` never blocks and keeps the order of its calls; `durable` is called on the event loop in that order, after
   the fence.
2. Any write or sync error is final (law 7): nothing is acknowledged after it, and `failed` tells why.
3. What `recover` returns is every entry that was acknowledged and not trimmed; it may hold entries that never were
   acknowledged.
4. `trim` is durable before the space is used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

PENDING_BYTES = 128 * 1024 * 1024
"""What may wait for upload, unless the WAL is smaller: 2 s of recovery on two slow cores (docs/decisions/0005)."""


class WalError(Exception):
    """The WAL cannot be opened or written; the message names the file, the place and the next step."""


class WalFull(Exception):
    """No room for an entry; nothing was recorded, and trimming makes room."""


class Entry(NamedTuple):
    """Records of one partition, ready to be stored: offsets and leader epoch are in them already."""

    uid: int
    epoch: int
    """The leader epoch under which they were appended."""
    base_offset: int
    end_offset: int
    """Next offset after the last record."""
    records: bytes | bytearray | memoryview


@dataclass(frozen=True, kw_only=True)
class Recovered:
    entries: Sequence[Entry]
    note: str
    """What was found, for the narration; empty when there is nothing to say."""


@dataclass(kw_only=True)
class WalStats:
    """Figures for telemetry, counted on the event loop."""

    capacity_bytes: int = 0
    """What it takes on its medium."""
    limit_bytes: int = 0
    """`used_bytes` never passes it: so recovery stays short (law 12)."""
    groups: int = 0
    errors: int = 0


@dataclass(frozen=True, kw_only=True)
class SlotNeeds:
    """Which slots of which broker epochs may still be needed."""

    newest_epoch: int
    """No broker epoch above it is known."""
    needed_from: Mapping[tuple[int, int], int]
    """(broker, broker epoch) to its trim point: the live ones, and those with a range left open. No other is needed."""
    recorded: Collection[tuple[int, int]]
    """Broker epochs with a trim point, needed or not."""


class Duties(Protocol):
    """What the cluster's metadata knows of WALs, as the kinds need it; log/ has it from SQL."""

    async def verify(self, broker: int, epoch: int) -> None:
        """WalError unless that broker epoch is alive, by an autocommit read on the primary that began after the
        call: the fence of kinds that have no lock.
        """

    async def trim_point(self, broker: int, epoch: int) -> int:
        """The lowest sequence of that broker epoch's WAL that may still be needed; 0 when none was recorded."""

    async def record_trim(self, broker: int, epoch: int, sequence: int) -> None:
        """Raises the trim point, durably, before anything below it is deleted."""

    async def slots_needed(self) -> SlotNeeds:
        """What the sweeper has to leave."""

    async def forget_trims(self, settled: Collection[tuple[int, int]]) -> None:
        """Drops the trim points of broker epochs that nobody needs and that left no slot."""

    async def heart(self, broker: int) -> tuple[int, int] | None:
        """The epoch and the heartbeat counter of a broker that counts as alive; None for any other."""


class Wal(Protocol):
    """One broker's own WAL: locked or not, then started under the broker epoch that registration gave."""

    failed: asyncio.Future[WalError]
    """Done when the WAL is lost: the broker must exit. There from `start` on."""
    recovered: Recovered
    """What was found at opening, for kinds that can read before they know an epoch."""
    stats: WalStats
    on_group: Callable[[float], None]
    """Told the seconds from the first byte written of each group to its acknowledgement."""

    @property
    def used_bytes(self) -> int:
        """Written or queued, and not trimmed, as recovery would feel it: at most `stats.limit_bytes`."""

    async def read_back(self, epochs: Sequence[int]) -> Sequence[Entry]:
        """What this broker's earlier lives under `epochs` left, behind their fences. After `start`."""

    def start(self, epoch: int) -> None:
        """Begins to write under `epoch`."""

    def append(self, entry: Entry, durable: Callable[[], None]) -> None:
        """Queues the entry, or raises WalFull before anything is recorded."""

    def mark(self) -> int:
        """A place behind every entry whose `durable` was called so far."""

    async def trim(self, mark: int) -> None:
        """Forgets everything before `mark`; durable when it returns."""

    async def forget_recovered(self) -> None:
        """What was read back is in objects now, or void: its space may be used again."""

    async def close(self) -> None:
        """Writes what is queued and lets go of the fence."""

    def abandon(self) -> None:
        """Lets go without writing anything."""
