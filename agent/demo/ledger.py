"""Who sent what, and what came back: the shapes of the proof that no record was lost, doubled or out of order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.demo.payload import Mark


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What the producers handed to one partition."""

    topic: str
    partition: int
    records: int
    """Sequences 0 to `records` - 1 were sent."""
    refused: frozenset[int]
    """Sequences that were never acknowledged: they may be in the log or not."""

    @property
    def acknowledged(self) -> int:
        return self.records - len(self.refused)


@dataclass(frozen=True, kw_only=True)
class Records:
    """The proof, over all partitions."""

    produced: int
    """Acknowledged."""
    consumed: int
    """Read back, each distinct record once."""
    lost: int
    duplicated: int
    out_of_order: int
    """Records whose key had a later one before them."""
    unacknowledged: int = 0


@dataclass
class PartitionAudit:
    """One partition as it is read back from its first offset."""

    sent: Sent
    seen: bytearray = field(init=False)
    duplicated: int = 0
    out_of_order: int = 0
    foreign: int = 0
    """Records that the demo never sent."""
    _last_of_key: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = bytearray(self.sent.records)

    def read(self, key: bytes, mark: Mark | None) -> None:
        """Takes the next record of the log."""
        if mark is None or mark.sequence >= self.sent.records:
            self.foreign += 1
            return
        if self.seen[mark.sequence]:
            self.duplicated += 1
            return
        self.seen[mark.sequence] = 1
        if mark.key_sequence <= self._last_of_key.get(key, -1):
            self.out_of_order += 1
        self._last_of_key[key] = mark.key_sequence

    @property
    def lost(self) -> int:
        return sum(1 for sequence, seen in enumerate(self.seen) if not seen and sequence not in self.sent.refused)


def total(audits: list[PartitionAudit]) -> Records:
    """The proof over `audits`; a record nobody sent counts as duplicated, for it should not be there."""
    return Records(
        produced=sum(audit.sent.acknowledged for audit in audits),
        consumed=sum(sum(audit.seen) for audit in audits),
        lost=sum(audit.lost for audit in audits),
        duplicated=sum(audit.duplicated + audit.foreign for audit in audits),
        out_of_order=sum(audit.out_of_order for audit in audits),
        unacknowledged=sum(len(audit.sent.refused) for audit in audits),
    )
