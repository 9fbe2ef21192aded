"""What idempotent producers have written to one partition: the last five batches of each, as Kafka keeps them.

A batch that repeats one of those is a retry and gets the old offset; anything else must continue the sequence. The
state at a committed end travels with the commit (`snapshot`), so a move or a failover forgets nothing: what came after
it is in the WAL, and replaying that on the snapshot gives the same state again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from broker.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from broker.records.batch import Batch

KEPT_BATCHES = 5
"""Kafka's limit of requests in flight for an idempotent producer."""
MAX_PRODUCERS = 20_000
"""Of one partition; over it the one that wrote least recently is forgotten (law 12)."""

_PRODUCER = struct.Struct(">qhB")
_WRITTEN = struct.Struct(">iiqq")


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """One batch that was appended."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    end_offset: int


@dataclass(kw_only=True, slots=True)
class _Producer:
    epoch: int
    last: list[Written]


class Producers:
    """Mutable; the log calls `check` before and `record` after it gives a batch its offset."""

    def __init__(self, snapshot: bytes = b"") -> None:
        self._known: dict[int, _Producer] = dict(_unpack(snapshot))

    def check(self, batch: Batch) -> Written | None:
        """The earlier append that this batch repeats, or None for a new one.

        InvalidProducerEpoch for an epoch that was overtaken, OutOfOrderSequenceNumber for a gap.
        """
        known = self._known.get(batch.producer_id)
        if known is None:
            return None
        if batch.producer_epoch < known.epoch:
            raise InvalidProducerEpoch(
                f"producer {batch.producer_id} has epoch {known.epoch}, the batch says {batch.producer_epoch}"
            )
        if batch.producer_epoch > known.epoch:
            self._check_next(batch, 0)
            return None
        for written in known.last:
            if (written.first_sequence, written.last_sequence) == (batch.base_sequence, batch.last_sequence):
                return written
        if known.last:
            self._check_next(batch, (known.last[-1].last_sequence + 1) & 0x7FFFFFFF)
        return None

    def _check_next(self, batch: Batch, expected: int) -> None:
        if batch.base_sequence != expected:
            raise OutOfOrderSequenceNumber(
                f"producer {batch.producer_id}: sequence {batch.base_sequence} where {expected} is due"
            )

    def record(self, batch: Batch, base_offset: int) -> None:
        """Remembers an appended batch."""
        written = Written(
            first_sequence=batch.base_sequence,
            last_sequence=batch.last_sequence,
            base_offset=base_offset,
            end_offset=base_offset + batch.last_offset_delta + 1,
        )
        known = self._known.pop(batch.producer_id, None)
        if known is None or known.epoch != batch.producer_epoch:
            known = _Producer(epoch=batch.producer_epoch, last=[])
        known.last = [*known.last[1 - KEPT_BATCHES :], written]
        self._known[batch.producer_id] = known
        if len(self._known) > MAX_PRODUCERS:
            del self._known[next(iter(self._known))]

    def snapshot(self, end: int) -> bytes:
        """The state as of offset `end`: batches past it are left out, since the WAL has them."""
        pieces = []
        for producer_id, known in self._known.items():
            last = [written for written in known.last if written.end_offset <= end]
            if last:
                pieces.append(_PRODUCER.pack(producer_id, known.epoch, len(last)))
                pieces += [_WRITTEN.pack(w.first_sequence, w.last_sequence, w.base_offset, w.end_offset) for w in last]
        return b"".join(pieces)

    def last_ends(self) -> dict[int, int]:
        """Producer id to the end of its last batch, for each that is known."""
        return {producer_id: known.last[-1].end_offset for producer_id, known in self._known.items() if known.last}

    def __len__(self) -> int:
        return len(self._known)


def _unpack(snapshot: bytes) -> Iterator[tuple[int, _Producer]]:
    at = 0
    while at < len(snapshot):
        producer_id, epoch, count = _PRODUCER.unpack_from(snapshot, at)
        at += _PRODUCER.size
        last = []
        for _ in range(count):
            first, final, base, end = _WRITTEN.unpack_from(snapshot, at)
            at += _WRITTEN.size
            last.append(Written(first_sequence=first, last_sequence=final, base_offset=base, end_offset=end))
        yield producer_id, _Producer(epoch=epoch, last=last)
