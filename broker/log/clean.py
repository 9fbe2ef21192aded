"""What cleanup.policy=compact keeps of a log: the newest record of each key, by Kafka's rules. Pure: bytes to bytes.

First the dirty part is scanned for keys (`Scan`), then the whole log below the scan's end is filtered (`Filter`).

1. Offsets never change: a batch that stays keeps its base offset, last offset, producer and sequence.
2. Records of a transaction count only after its marker said commit; an aborted one's are left out. The scan ends before
   the first transaction that is not decided.
3. A tombstone, and a marker whose transaction has no records left, gets a horizon in its batch when it is first met and
   goes once that is past (KIP-534).
4. The last batch of a producer that is still known stays, empty if need be, so that its sequence does.
5. A batch that cannot be opened within the room given stays as it is; behind it no tombstone goes, since the batch may
   hold what the tombstone deleted.
Source: kafka.log.LogCleaner, org.apache.kafka.common.record.MemoryRecords.filterTo.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from broker.records.batch import HEADER_BYTES, Batch, batches
from broker.records.codecs import Decoder, TooLarge, Undecodable, encode
from broker.records.contents import (
    DELETE_HORIZON,
    LyingRecords,
    Record,
    emptied,
    has_horizon,
    is_abort,
    rebuilt,
    records,
    retained,
)

Bytes = bytes | bytearray | memoryview
_DIGEST_BYTES = 16
"""Longer keys are known by a digest; shorter ones by themselves, so the two are never taken for each other."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be cleaned, and within which bounds."""

    start: int
    """The log start: what lies before it goes."""
    dirty_from: int
    end: int
    now_ms: int
    delete_retention_ms: int
    keys: int
    """Keys held at most; the scan ends where more would be needed."""
    batch_room_bytes: int
    """A batch that decompresses to more is left alone."""
    round_room_bytes: int
    """The scan ends when this much was decompressed."""
    producers: Mapping[int, int]
    """Producer id to the end of its last batch, for those still known."""


@dataclass(kw_only=True)
class Tally:
    """What a round met and did."""

    records: int = 0
    removed: int = 0
    without_key: int = 0
    unopened: int = 0
    """Batches that were left as they are because they cannot be opened."""
    bytes_in: int = 0
    bytes_out: int = 0


def known_as(key: bytes) -> bytes:
    """What stands for a key in memory."""
    return key if len(key) < _DIGEST_BYTES else blake2b(key, digest_size=_DIGEST_BYTES).digest()


def open_batch(decoder: Decoder, data: Bytes, batch: Batch) -> tuple[memoryview, list[Record]] | None:
    """The decompressed bytes and the records in them; None when they cannot be had."""
    body = memoryview(data)[batch.position + HEADER_BYTES : batch.position + batch.size_bytes]
    try:
        plain = decoder.decode(batch.codec, body)
        return plain, list(records(plain, batch))
    except (TooLarge, Undecodable, LyingRecords):
        return None


@dataclass(kw_only=True)
class Decisions:
    """Transactions by producer: (first offset, marker offset, aborted), in order."""

    ended: dict[int, list[tuple[int, int, bool]]] = field(default_factory=dict)

    def of(self, producer: int, offset: int) -> bool | None:
        """Whether what this producer wrote at `offset` was aborted; None when no marker was met."""
        known = self.ended.get(producer, [])
        at = bisect_right(known, offset, key=lambda one: one[0]) - 1
        return known[at][2] if at >= 0 and offset < known[at][1] else None

    def end(self, producer: int, first: int, marker: int, aborted: bool) -> None:
        """Transactions of one producer follow each other, and a repeated scan finds those it knows decided."""
        self.ended.setdefault(producer, []).append((first, marker, aborted))


class Scan:
    """The newest offset of each key in the dirty part."""

    def __init__(self, order: Order, decoder: Decoder) -> None:
        self.offsets: dict[bytes, int] = {}
        self.up_to = order.dirty_from
        self.decisions = Decisions()
        self._order, self._decoder = order, decoder
        self._end = order.end
        self._room = order.round_room_bytes
        self._open: dict[int, tuple[int, dict[bytes, int]]] = {}
        """Producer to (first offset, keys) of a transaction whose marker was not met yet."""
        self._held = 0

    def add(self, data: Bytes) -> bool:
        """Takes the next batches; False when it wants no more."""
        for batch in batches(data):
            if batch.next_offset <= self._order.dirty_from:
                continue
            if batch.base_offset >= self._end or not self._take(data, batch):
                return False
            self.up_to = batch.next_offset
        return True

    def finish(self) -> bool:
        """Whether the scan must be repeated, up to the first transaction that is not decided."""
        if not self._open:
            return False
        self._end = min(first for first, _ in self._open.values())
        self.offsets, self._open, self._held = {}, {}, 0
        self.up_to, self._room = self._order.dirty_from, self._order.round_room_bytes
        return True

    def _take(self, data: Bytes, batch: Batch) -> bool:
        if batch.is_control:
            self._end_transaction(data, batch)
            return True
        decided = self.decisions.of(batch.producer_id, batch.base_offset) if batch.is_transactional else False
        if decided or not batch.count:
            return True
        if self._held + batch.count > self._order.keys and self._held:
            return False
        opened = open_batch(self._decoder, data, batch) if batch.count <= self._order.keys else None
        if opened is None:
            return True
        self._room -= len(opened[0])
        if self._room < 0 and self.up_to > self._order.dirty_from:
            return False
        target = self.offsets
        if decided is None:
            target = self._open.setdefault(batch.producer_id, (batch.base_offset, {}))[1]
        before = len(target)
        for record in opened[1]:
            if record.key is not None:
                target[known_as(record.key)] = batch.base_offset + record.offset_delta
        self._held += len(target) - before
        return True

    def _end_transaction(self, data: Bytes, batch: Batch) -> None:
        if (ended := self._open.pop(batch.producer_id, None)) is None:
            return
        first, keys = ended
        aborted = is_abort(memoryview(data)[batch.position + HEADER_BYTES : batch.position + batch.size_bytes])
        self.decisions.end(batch.producer_id, first, batch.base_offset, aborted)
        if aborted:
            self._held -= len(keys)
            return
        for key, offset in keys.items():
            if self.offsets.get(key, -1) < offset:
                self.offsets[key] = offset


class Filter:
    """The log again, without what the scan found newer records of."""

    def __init__(self, order: Order, scan: Scan, decoder: Decoder) -> None:
        self.tally = Tally()
        self._order, self._scan, self._decoder = order, scan, decoder
        self._with_records: set[int] = set()
        """Producers whose running transaction has records in this log."""
        self._blind = False
        """Whether a batch was met that could not be opened."""

    def take(self, data: Bytes) -> tuple[bytes, bool]:
        """What stays of the next batches, and whether that is anything else than they were."""
        kept: list[Bytes] = []
        changed = False
        for batch in batches(data):
            whole = memoryview(data)[batch.position : batch.position + batch.size_bytes]
            stays: Bytes | None = whole if batch.base_offset >= self._scan.up_to else self._batch(whole, data, batch)
            changed = changed or stays is not whole
            if stays is not None:
                kept.append(stays)
        out = b"".join(kept)
        self.tally.bytes_in += len(data)
        self.tally.bytes_out += len(out)
        return out, changed

    def _batch(self, whole: memoryview, data: Bytes, batch: Batch) -> Bytes | None:
        last_of_producer = batch.is_idempotent and self._order.producers.get(batch.producer_id) == batch.next_offset
        if batch.is_control:
            return self._marker(whole, batch, last_of_producer)
        if batch.is_transactional:
            self._with_records.add(batch.producer_id)
        aborted = batch.is_transactional and self._scan.decisions.of(batch.producer_id, batch.base_offset)
        if batch.count == 0 or aborted or batch.next_offset <= self._order.start:
            self.tally.records += batch.count
            self.tally.removed += batch.count
            return self._last(whole, batch, last_of_producer)
        opened = open_batch(self._decoder, data, batch) if batch.count <= self._order.keys else None
        if opened is None:
            self._blind = True
            self.tally.unopened += 1
            return whole
        return self._records(whole, batch, *opened, last_of_producer)

    def _last(self, whole: memoryview, batch: Batch, last_of_producer: bool) -> Bytes | None:
        if not last_of_producer:
            return None
        return whole if batch.count == 0 else emptied(batch, base_timestamp=batch.base_timestamp)

    def _marker(self, whole: memoryview, batch: Batch, last_of_producer: bool) -> Bytes | None:
        if batch.producer_id in self._with_records:
            self._with_records.discard(batch.producer_id)
            return whole
        if not has_horizon(batch):
            plain = whole[HEADER_BYTES:]
            return self._with_horizon(batch, plain, list(records(plain, batch)))
        if self._order.now_ms < batch.base_timestamp or last_of_producer:
            return whole
        return None

    def _records(
        self, whole: memoryview, batch: Batch, plain: memoryview, found: list[Record], last_of_producer: bool
    ) -> Bytes | None:
        past_horizon = has_horizon(batch) and self._order.now_ms >= batch.base_timestamp and not self._blind
        kept = [record for record in found if self._stays(record, batch, past_horizon)]
        self.tally.records += len(found)
        self.tally.removed += len(found) - len(kept)
        if not kept:
            return self._last(whole, batch, last_of_producer)
        wants_horizon = not has_horizon(batch) and not all(record.has_value for record in kept)
        if wants_horizon:
            return self._with_horizon(batch, plain, kept)
        if len(kept) == len(found):
            return whole
        return self._rebuilt(batch, plain, kept, batch.attributes, batch.base_timestamp)

    def _stays(self, record: Record, batch: Batch, past_horizon: bool) -> bool:
        if record.key is None:
            self.tally.without_key += 1
            return False
        offset = batch.base_offset + record.offset_delta
        if offset < self._order.start or offset < self._scan.offsets.get(known_as(record.key), -1):
            return False
        return record.has_value or not past_horizon

    def _with_horizon(self, batch: Batch, plain: memoryview, kept: list[Record]) -> bytes:
        horizon_ms = self._order.now_ms + self._order.delete_retention_ms
        return self._rebuilt(batch, plain, kept, batch.attributes | DELETE_HORIZON, horizon_ms)

    def _rebuilt(
        self, batch: Batch, plain: memoryview, kept: list[Record], attributes: int, base_timestamp: int
    ) -> bytes:
        newest = batch.max_timestamp
        if not batch.is_log_append_time:
            newest = max(batch.base_timestamp + record.timestamp_delta for record in kept)
        payload = encode(batch.codec, retained(plain, kept, batch, base_timestamp))
        return rebuilt(
            batch, payload, count=len(kept), attributes=attributes, base_timestamp=base_timestamp, newest=newest
        )
