"""The transactions of one partition: which are open, which were decided but are not visible yet, which were aborted.

1. What read_committed consumers may read ends at the first record of the first transaction that is open, or whose
   marker is not durable yet (law 6).
2. An aborted transaction is known for as long as its records may be read: until the log start, or the cleaner, is past
   its marker.
3. The state as of an earlier offset can still be told while records past that offset are not committed (`as_of`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

MAX_ABORTED = 50_000
"""Of one partition; at that many a transaction may not begin there until retention has dropped some (law 12)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A transaction with a marker in the log."""

    producer_id: int
    first: int
    marker: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Aborted:
    """What a consumer must leave out: the producer's records from `first` to its marker."""

    producer_id: int
    first: int
    marker: int
    stable: int
    """No transaction whose marker comes later began below this."""


class Transactions:
    """Mutable, in the order of the log."""

    def __init__(self, opened: dict[int, int] | None = None, aborted: list[Aborted] | None = None) -> None:
        self.opened = opened or {}
        """Producer id to its first offset, the lowest first."""
        self.aborted = aborted or []
        """By marker."""
        self._unseen: deque[Ended] = deque()
        """Those whose marker is not durable yet."""
        self._uncommitted: deque[Ended] = deque()
        """Those whose marker is not committed yet."""

    def begin(self, producer_id: int, first: int) -> None:
        self.opened.setdefault(producer_id, first)

    def end(self, producer_id: int, marker: int, *, commit: bool) -> None:
        """A marker was appended; nothing happens where the producer had written nothing."""
        first = self.opened.pop(producer_id, None)
        if first is None:
            return
        ended = Ended(producer_id=producer_id, first=first, marker=marker)
        self._unseen.append(ended)
        self._uncommitted.append(ended)
        if not commit:
            stable = min(next(iter(self.opened.values()), marker), marker)
            self.aborted.append(Aborted(producer_id=producer_id, first=first, marker=marker, stable=stable))

    def stable(self, high_watermark: int) -> int:
        """Where reading what is decided ends."""
        while self._unseen and self._unseen[0].marker < high_watermark:
            self._unseen.popleft()
        least = min(next(iter(self.opened.values()), high_watermark), high_watermark)
        return min((ended.first for ended in self._unseen), default=least) if self._unseen else least

    def committed(self, end: int) -> None:
        """Records below `end` are in objects, with a snapshot."""
        while self._uncommitted and self._uncommitted[0].marker < end:
            self._uncommitted.popleft()

    def within(self, start: int, end: int) -> list[Aborted]:
        """The aborted transactions that may have records from `start` on and below `end`."""
        found = []
        for one in self.aborted[bisect_left(self.aborted, start, key=lambda one: one.marker) :]:
            if one.first < end:
                found.append(one)
            if one.stable >= end:
                break
        return found

    def forget(self, before: int) -> None:
        """Nothing below that offset can be read any more, or nothing aborted is left there."""
        del self.aborted[: bisect_left(self.aborted, before, key=lambda one: one.marker)]

    def as_of(self, end: int) -> tuple[dict[int, int], list[Aborted]]:
        """What was open and aborted when the log ended there."""
        opened = {ended.producer_id: ended.first for ended in self._uncommitted if ended.first < end <= ended.marker}
        opened |= {producer_id: first for producer_id, first in self.opened.items() if first < end}
        opened = dict(sorted(opened.items(), key=lambda item: item[1]))
        return opened, self.aborted[: bisect_left(self.aborted, end, key=lambda one: one.marker)]
