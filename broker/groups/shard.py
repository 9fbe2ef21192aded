"""The groups of one partition of `__consumer_offsets`, in the memory of its owner, for one leader epoch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from broker.groups import kinds
from broker.groups.kinds import AnyGroup
from broker.metadata.rows import Coordinator


@dataclass(kw_only=True)
class Entry:
    """One group in memory."""

    group: AnyGroup
    emptied_ms: int | None = None
    """Since when it has had no members, by the wall clock; None while it has some, or never had any."""
    stored: bool
    """It is in the metadata store; otherwise it vanishes when its first member never came."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One step at a time, its storing included: the order of answers is the order of what was stored."""
    due: float | None = None
    """The monotonic second at which time alone changes the group."""

    def reschedule(self) -> None:
        """Looks again when time will change the group next."""
        self.due = kinds.due(self.group)


@dataclass(kw_only=True)
class Shard:
    """What a coordinator holds because it owns a partition. Dropped, never patched, when ownership changes."""

    coordinator: Coordinator
    groups: dict[str, Entry]
    closed: bool = False
