"""What crosses the metadata seam in one piece: rows to be written or read, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What a broker says of itself when it starts."""

    id: int
    listeners: Mapping[str, tuple[str, int]]
    http: str
    zone: str | None
    spot: bool
    version: str
    host_id: str
    wal_url: str
    allow_host_durability: bool = False
    """Join with a WAL that is lost with its host, though the cluster has several."""


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """The leadership of a partition of an internal topic: what a coordinator's writes are conditional on."""

    uid: int
    owner: int
    epoch: int


@dataclass(frozen=True, kw_only=True)
class OffsetRow:
    offset: int
    leader_epoch: int
    metadata: str
    committed_at_ms: int


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    group_id: str
    coordinator_uid: int
    """The uid of the `__consumer_offsets` partition the group hashes to."""
    state: str
    """JSON, owned by groups/."""
    members: Mapping[str, str | None] = field(default_factory=dict)
    """Members that are kept in rows of their own, JSON too. Written: those that changed, None for one that is gone."""
    is_whole: bool = True
    """Written: whether `members` are all there are, so that rows of others go."""


@dataclass(frozen=True, kw_only=True)
class TransactionRow:
    """One transactional id: who holds it now, and where its transaction stands."""

    transactional_id: str
    coordinator_uid: int
    """The uid of the `__transaction_state` partition the id hashes to."""
    state: str
    producer_id: int
    epoch: int
    """What its producer must say."""
    previous_id: int = -1
    previous_epoch: int = -1
    """What it said before the last change: a retry of the request that changed it still says so. -1: nobody does."""
    marker_id: int = -1
    marker_epoch: int = -1
    """What markers carry while the transaction is being ended."""
    timeout_ms: int
    started_ms: int = -1
    """Of the transaction under way."""
    updated_ms: int


@dataclass(frozen=True, kw_only=True)
class Extent:
    """One partition's records in one object, about to become visible."""

    uid: int
    epoch: int
    """The leader epoch under which the records were appended."""
    start: int
    end: int
    """Next offset after the last record."""
    size_bytes: int
    max_timestamp_ms: int
    producers: bytes
    """The producer snapshot at `end`."""


@dataclass(frozen=True, kw_only=True)
class RangeRow:
    """One partition's records in one committed object."""

    start: int
    end: int
    object_id: int
    size_bytes: int
    max_timestamp_ms: int
    object_bytes: int = 0
    """Size of the whole object, with which its index is found; 0 where nobody is going to read it."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a broker needs to open a partition it owns."""

    uid: int
    epoch: int
    start: int
    end: int
    """Committed end: everything below is in objects."""
    size_bytes: int
    producers: bytes
    cleaned_to: int = 0
    """Below it the cleaner has left nothing of aborted transactions."""


@dataclass(frozen=True, kw_only=True)
class OpenRange:
    """A range that a dead broker left open, to be closed by its recoverer."""

    uid: int
    epoch: int
    end: int
    producers: bytes


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One broker's heartbeat counter as read from the store."""

    id: int
    epoch: int
    counter: int
