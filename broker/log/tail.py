"""The newest records of the partitions a broker owns, in memory: what consumers read, and what the next upload takes.

Records stay until they are uploaded, whatever the budget says (the WAL bounds those); after that they stay while the
budget of all logs together lasts, the oldest append going first. Evicting costs the same whether there are ten
partitions or ten thousand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from broker.log.config import CacheStats
from broker.objects.layout import Piece


@dataclass(kw_only=True)
class TailBudget:
    """Shared by all tails of a broker: in order of appending, who holds how much."""

    limit_bytes: int
    held_bytes: int = 0
    stats: CacheStats = field(default_factory=CacheStats)
    pending_bytes: int = 0
    """Of all logs together: not uploaded yet."""
    appended_bytes: int = 0
    """Ever."""

    def __post_init__(self) -> None:
        self._order: deque[Tail] = deque()

    def served(self, hit: bool) -> None:
        """A read was answered from a tail, or has to go to objects."""
        self.stats.hits += hit
        self.stats.misses += not hit

    def added(self, tail: Tail, size: int) -> None:
        self.held_bytes += size
        self._order.append(tail)

    def shrink(self) -> None:
        """Drops the oldest uploaded pieces until the budget is kept; called after appends and uploads."""
        while self.held_bytes > self.limit_bytes and self._order:
            oldest = self._order[0]
            if not oldest.closed and not oldest.drop_oldest():
                return
            self._order.popleft()


class Tail:
    """One log's pieces, contiguous and in order."""

    def __init__(self, budget: TailBudget, start: int) -> None:
        self._budget = budget
        self._bases: list[int] = []
        self._pieces: list[Piece] = []
        self._first = 0
        """Pieces before this index are dropped; the lists are cut when that is worth it."""
        self._uploaded_to = start
        self.closed = False

    def append(self, piece: Piece) -> None:
        self._bases.append(piece.base_offset)
        self._pieces.append(piece)
        self._budget.added(self, len(piece.data))

    def holds(self, offset: int) -> bool:
        """Whether reading may begin here at `offset`."""
        return self._first < len(self._bases) and self._bases[self._first] <= offset

    def read(self, offset: int, limit: int, max_bytes: int, min_one: bool) -> list[Piece]:
        """Pieces from the one that holds `offset`, all below `limit`, up to `max_bytes`; at least one when
        `min_one`.
        """
        at = max(bisect_right(self._bases, offset) - 1, self._first)
        found: list[Piece] = []
        size = 0
        for index in range(at, len(self._pieces)):
            piece = self._pieces[index]
            if piece.end_offset > limit or (size + len(piece.data) > max_bytes and (found or not min_one)):
                break
            found.append(piece)
            size += len(piece.data)
        return found

    def pending(self, start: int, limit: int) -> list[Piece]:
        """Everything from `start` (a boundary) up to `limit`: what is to be uploaded."""
        return self.read(start, limit, 1 << 62, True) if start < limit else []

    def newest_before(self, timestamp_ms: int, start: int, limit: int) -> Piece | None:
        """The first piece from `start` on whose newest record is not older than `timestamp_ms`."""
        for piece in self.pending(start, limit):
            if piece.max_timestamp_ms >= timestamp_ms:
                return piece
        return None

    def uploaded(self, end: int) -> None:
        self._uploaded_to = end

    def drop_oldest(self) -> bool:
        """Forgets the oldest piece if it is uploaded; the budget calls it once for each append."""
        if self._first >= len(self._pieces):
            return True
        piece = self._pieces[self._first]
        if piece.end_offset > self._uploaded_to:
            return False
        self._budget.held_bytes -= len(piece.data)
        self._first += 1
        if self._first > 64 and self._first * 2 > len(self._pieces):
            del self._pieces[: self._first], self._bases[: self._first]
            self._first = 0
        else:
            self._pieces[self._first - 1] = _DROPPED
        return True

    def forget(self, end: int) -> None:
        """Drops what is uploaded and lies below `end`: objects have less of it by now."""
        while self._first < len(self._pieces) and self._pieces[self._first].end_offset <= min(end, self._uploaded_to):
            self.drop_oldest()

    def close(self) -> None:
        """Gives everything back: the log is not ours any more."""
        self._budget.held_bytes -= sum(len(piece.data) for piece in self._pieces[self._first :])
        self._pieces, self._bases, self._first, self.closed = [], [], 0, True


_DROPPED = Piece(base_offset=-1, end_offset=-1, max_timestamp_ms=-1, data=b"")
