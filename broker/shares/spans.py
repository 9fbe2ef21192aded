"""What was read of a log, as a share group gives it: which batches have records for its members, and which bytes they
are. Records stay opaque: a batch is looked at by its header.

Markers are for nobody, and neither is what a transaction aborted, for a group that reads what is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.log.answers import Bytes, Slice
from broker.records.batch import HEADER_BYTES, Batch, batches
from broker.records.contents import is_abort
from broker.shares.window import Acquired, Read


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What was read, and the bytes of each batch of it that may be given."""

    read: Read
    pieces: Sequence[memoryview]

    def bytes_of(self, given: Sequence[Acquired]) -> list[Bytes]:
        """The batches with any of these records."""
        kept: list[Bytes] = []
        at = 0
        for (first, last), piece in zip(self.read.spans, self.pieces, strict=True):
            while at < len(given) and given[at].last < first:
                at += 1
            if at < len(given) and given[at].first <= last:
                kept.append(piece)
        return kept


def found(part: Slice, offset: int, *, committed: bool) -> Found:
    """Of a read that began at `offset`. Where nothing is left up to what may be read, the reading ended there."""
    limit = part.last_stable if committed else part.high_watermark
    aborted = sorted(part.aborted, key=lambda one: one[1]) if committed else []
    spans: list[tuple[int, int]] = []
    pieces: list[memoryview] = []
    open_aborts: set[int] = set()
    end = offset
    for piece in part.data:
        view = memoryview(piece)
        for batch in batches(piece):
            whole = view[batch.position : batch.position + batch.size_bytes]
            while aborted and aborted[0][1] <= batch.last_offset:
                open_aborts.add(aborted.pop(0)[0])
            if _has_records(batch, whole, open_aborts):
                spans.append((batch.base_offset, batch.last_offset))
                pieces.append(whole)
            end = max(end, batch.next_offset)
    return Found(read=Read(offset=offset, spans=spans, end=end if part.data else max(offset, limit)), pieces=pieces)


def _has_records(batch: Batch, whole: memoryview, open_aborts: set[int]) -> bool:
    if batch.is_control:
        if batch.producer_id in open_aborts and is_abort(whole[HEADER_BYTES:]):
            open_aborts.discard(batch.producer_id)
        return False
    return batch.count > 0 and not (batch.is_transactional and batch.producer_id in open_aborts)
