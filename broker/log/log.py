"""One partition as its owner sees it: appends become durable in the WAL and visible in order; reads come from tail or
objects.

1. `append` does everything up to the WAL's queue before it first waits, so calls in a row keep their order, and it
   refuses before a sequence number is recorded: a refused batch leaves no trace (law 12).
2. The high watermark moves only when the WAL calls back, in append order; nothing past it is read, listed or
   snapshotted (law 6).
3. While a log is handed over, appends wait in their order for the outcome, and reads are served; when it is closed,
   every waiter is told who leads.
4. read_committed consumers see what is below `last_stable`, and are told which of it was aborted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker.errors import InvalidRecord, KafkaError, NotEnoughReplicas, NotLeaderOrFollower, OffsetOutOfRange
from broker.log.answers import Appended, Promise, Slice
from broker.log.producers import Guard, Producers
from broker.log.reader import ObjectReader
from broker.log.stable import below, end_of
from broker.log.tail import Tail, TailBudget
from broker.log.times import NOTHING, first_at
from broker.log.waiters import Waiters, refuse
from broker.metadata.image import Partition
from broker.metadata.rows import Extent, Opening, RangeRow
from broker.objects.layout import Piece
from broker.records.batch import Batch, check_produced, parse, patch
from broker.records.markers import Marker, write_marker
from broker.wal.base import Entry, Wal, WalFull

Bytes = bytes | bytearray | memoryview
Held = tuple[Bytes, Sequence[Batch], int, Guard | None, Promise]
"""What an append was called with, and who waits for it."""


class Log:
    """Open for one leadership: (uid, epoch)."""

    def __init__(
        self, partition: Partition, opening: Opening, *, wal: Wal, reader: ObjectReader, budget: TailBudget
    ) -> None:
        self.uid, self.topic, self.index, self.epoch = partition.uid, partition.topic, partition.index, opening.epoch
        self.topic_id = partition.topic_id
        self.log_start, self.log_end, self.high_watermark = opening.start, opening.end, opening.end
        self.committed_end = opening.end
        """Below it everything is in objects."""
        self.committed_bytes = opening.size_bytes
        self.pending_bytes = 0
        self.producers = Producers(opening.producers)
        self.producers.transactions.forget(max(opening.start, opening.cleaned_to))
        self.closing = False
        """Whether it is being handed over."""
        self._held: list[Held] | None = None
        """Appends that wait for the outcome of a handover, oldest first; None when they are refused, or not closing."""
        self._wal, self._reader = wal, reader
        self._tail, self._budget = Tail(budget, opening.end), budget
        self._ranges: list[RangeRow] | None = None
        self._gone: KafkaError | None = None
        self._waiters, self._stable_waiters = Waiters(), Waiters()

    @property
    def last_stable(self) -> int:
        """Where read_committed consumers may read to: everything below is decided, and durable."""
        return max(self.producers.transactions.stable(self.high_watermark), self.log_start)

    def is_at_tail(self, offset: int) -> bool:
        """Whether what comes at `offset` is still in memory, or not here yet."""
        return self._tail.holds(offset) or offset == self.high_watermark

    @property
    def is_settled(self) -> bool:
        """Open, and all that was appended is durable."""
        return self._gone is None and self.high_watermark >= self.log_end

    @property
    def size_bytes(self) -> int:
        return self.committed_bytes + self.pending_bytes

    # -- appending ---------------------------------------------------------------------------------------------------

    def append(self, records: Bytes, *, acks: int, guard: Guard | None = None) -> asyncio.Future[Appended]:
        """`take` with a future of its own."""
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self.take(records, check_produced(records), acks, guard, done)
        return done

    def take(self, records: Bytes, found: Sequence[Batch], acks: int, guard: Guard | None, done: Promise) -> None:
        """Takes what a producer sent, which was `found` to be whole; `done` is told when it is durable, or at once for
        acks=0. A transaction begins here with the `guard` that was taken before its coordinator confirmed it.

        Raises at once (nothing recorded): InvalidRecord, OutOfOrderSequenceNumber, InvalidTxnState,
        InvalidProducerEpoch, NotLeaderOrFollower, and NotEnoughReplicas (retriable) while the WAL has no room.
        """
        if self._gone is not None:
            raise self._gone
        if self.closing:
            if self._held is None:
                raise self._in_handover()
            self._held.append((records, found, acks, guard, done))
            return
        repeated = self._repeated(found, guard)
        if repeated is not None:
            self._answer_at(repeated[1], repeated[0], done)
            return
        base = self.log_end
        end = self._store(_owned(records), found)
        if acks == 0:
            done.set_result(self._appended(base))
        else:
            self._answer_at(end, base, done)

    def _repeated(self, found: Sequence[Batch], guard: Guard | None) -> tuple[int, int] | None:
        """(base, end) of the earlier append when these batches are a retry."""
        if len(found) > 1 and any(batch.is_transactional for batch in found):
            raise InvalidRecord(f"{len(found)} batches for one partition: a transaction sends one at a time")
        for batch in found:
            if batch.producer_id >= 0 and (written := self.producers.check(batch, guard)) is not None:
                return written.base_offset, written.end_offset
        return None

    def mark(self, marker: Marker, now_ms: int) -> asyncio.Future[None]:
        """Ends a producer's transaction; done when that is durable, also where it was so before. Raises at once what
        `Producers.wants` does, NotLeaderOrFollower, and NotEnoughReplicas while the WAL has no room.
        """
        if self._gone is not None:
            raise self._gone
        if self.closing:
            raise self._in_handover()
        if self.producers.wants(marker):
            data = bytearray(write_marker(marker, now_ms))
            self._store(data, (parse(data),))
        else:
            self.producers.void(marker.producer_id)
        return self.wait_for(self.log_end - 1)

    def _store(self, data: bytearray | memoryview, found: Sequence[Batch]) -> int:
        """Gives offsets, queues for the WAL, and only then remembers anything; the new log end."""
        offset = base = self.log_end
        for batch in found:
            patch(data, batch, base_offset=offset, leader_epoch=self.epoch)
            offset += batch.last_offset_delta + 1
        entry = Entry(self.uid, self.epoch, base, offset, data)
        try:
            self._wal.append(entry, lambda: self._durable(offset))
        except WalFull as error:
            raise NotEnoughReplicas(f"{error}: retry, uploads are behind") from error
        at = base
        for batch in found:
            if batch.producer_id >= 0:
                self.producers.apply(data, batch, at)
            at += batch.last_offset_delta + 1
        newest = found[0].max_timestamp if len(found) == 1 else max(batch.max_timestamp for batch in found)
        self._tail.append(Piece(base, offset, newest, data))
        self.log_end = offset
        self._count(len(data))
        return offset

    def _count(self, size: int) -> None:
        """Bytes that wait for upload, here and in the whole broker: more of them, or fewer."""
        self.pending_bytes += size
        self._budget.pending_bytes += size
        self._budget.appended_bytes += max(size, 0)

    def _answer_at(self, end: int, base: int, done: Promise) -> None:
        if end <= self.high_watermark:
            done.set_result(self._appended(base))
        else:
            self._waiters.add_append(end, done, base)

    def _appended(self, base: int) -> Appended:
        return Appended(base_offset=base, log_append_time_ms=-1, log_start=self.log_start)

    def _durable(self, end: int) -> None:
        if self._gone is not None:
            return
        self.high_watermark = max(self.high_watermark, end)
        self._waiters.reached(end, self.log_start)
        if self._stable_waiters:
            self._stable_waiters.reached(self.last_stable, self.log_start)

    def wait_for(self, offset: int) -> asyncio.Future[None]:
        """Done when the record at `offset` may be read; NotLeaderOrFollower when the log is lost before that."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tell(offset, future)
        return future

    def tell(self, offset: int, future: asyncio.Future[None], *, committed: bool = False) -> None:
        """`wait_for` with a future that may wait in many logs at once: the first of them ends it. `committed`: read by
        those who see decided transactions only.
        """
        if future.done():
            return
        if self._gone is not None:
            refuse(future, self._gone)
        elif offset < (self.last_stable if committed else self.high_watermark):
            future.set_result(None)
        else:
            (self._stable_waiters if committed else self._waiters).add(offset, future)

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(self, offset: int, max_bytes: int, *, min_one: bool, committed: bool = False) -> Slice:
        """Batches from `offset` up to the high watermark, or to what is `committed`. OffsetOutOfRange outside of the
        log.
        """
        if self._gone is not None:
            raise self._gone
        if not self.log_start <= offset <= self.log_end:
            raise OffsetOutOfRange(f"offset {offset} of {self.topic}-{self.index}: {self.log_start} to {self.log_end}")
        limit = self.last_stable if committed else self.high_watermark
        aborted = self.producers.transactions.within(offset, limit) if committed else []
        data: list[Bytes] = []
        if offset < limit and (max_bytes > 0 or min_one):
            self._budget.served(hit := self._tail.holds(offset))
            found = None if hit else await self._read_objects(offset, max_bytes, min_one)
            data = found if found is not None else self._read_tail(offset, limit, max_bytes, min_one)
            if found is not None and limit < self.committed_end:
                data = below(found, limit)
        if aborted:
            end = end_of(data, offset)
            aborted = [one for one in aborted if one.first < end]
        return Slice(
            data=data,
            high_watermark=self.high_watermark,
            last_stable=self.last_stable,
            log_start=self.log_start,
            aborted=tuple((one.producer_id, one.first) for one in aborted),
        )

    def _read_tail(self, offset: int, limit: int, max_bytes: int, min_one: bool) -> list[Bytes]:
        """From the tail, also when cleaning left nothing of what is in objects from `offset` on."""
        start = offset if self._tail.holds(offset) else max(offset, self.committed_end)
        if not self._tail.holds(start):
            return []
        return [piece.data for piece in self._tail.read(start, limit, max_bytes, min_one)]

    async def _read_objects(self, offset: int, max_bytes: int, min_one: bool) -> list[Bytes] | None:
        return await self._reader.read(self.uid, self.ranges_at, offset, max_bytes, min_one)

    async def ranges_at(self, again: bool = False) -> list[RangeRow]:
        """The partition's ranges in order, loaded once and kept up to date by our own commits; `again` reloads them."""
        if self._ranges is None or again:
            self._ranges = await self._reader.ranges(self.uid)
        return self._ranges

    async def offset_for_time(self, timestamp_ms: int) -> tuple[int, int]:
        """(offset, timestamp) of the first batch that may hold a record at or after `timestamp_ms`; (-1, -1) for
        none.
        """
        for row in await self.ranges_at():
            if row.end > self.log_start and row.max_timestamp_ms >= timestamp_ms:
                found = await self._reader.offset_for_time(self.uid, row, timestamp_ms, self.log_start)
                if found != NOTHING:
                    return found
        start = max(self.committed_end, self.log_start)
        piece = self._tail.newest_before(timestamp_ms, start, self.high_watermark)
        return first_at(piece.data, timestamp_ms, start) if piece is not None else NOTHING

    async def max_timestamp(self) -> tuple[int, int]:
        """(offset, timestamp) of the batch with the newest record; (-1, -1) in an empty log."""
        stamps = [row.max_timestamp_ms for row in await self.ranges_at()]
        stamps += [piece.max_timestamp_ms for piece in self._tail.pending(self.committed_end, self.high_watermark)]
        newest = max(stamps, default=-1)
        return await self.offset_for_time(newest) if newest >= 0 else (-1, -1)

    async def epoch_end(self, epoch: int) -> tuple[int, int]:
        """The newest epoch not above `epoch` and where it ended, as OffsetForLeaderEpoch answers; (-1, -1) for none."""
        history = await self._reader.epoch_history(self.uid)
        known = [number for number, _ in history if number <= epoch]
        if not known:
            return -1, -1
        after = [start for number, start in history if number > epoch]
        return max(known), min(after) if after else self.high_watermark

    # -- uploading, moving, closing ----------------------------------------------------------------------------------

    def pending(self, end: int | None = None) -> tuple[list[Piece], Extent | None]:
        """What is durable (below `end`) and not uploaded yet, and the extent it would make; None when there is
        nothing.
        """
        limit = self.high_watermark if end is None else min(end, self.high_watermark)
        pieces = self._tail.pending(self.committed_end, limit)
        if not pieces:
            return [], None
        return pieces, self.extent(pieces)

    def extent(self, pieces: Sequence[Piece]) -> Extent:
        """What these durable pieces, contiguous, would be as one partition's share of an object."""
        return Extent(
            uid=self.uid,
            epoch=self.epoch,
            start=pieces[0].base_offset,
            end=pieces[-1].end_offset,
            size_bytes=sum(len(piece.data) for piece in pieces),
            max_timestamp_ms=max(piece.max_timestamp_ms for piece in pieces),
            producers=self.producers.snapshot(pieces[-1].end_offset),
        )

    def committed(self, extent: Extent, object_id: int, object_bytes: int) -> None:
        """An upload of ours is visible."""
        self.committed_end = extent.end
        if self._gone is None:
            self._count(-extent.size_bytes)
        self.committed_bytes += extent.size_bytes
        self._tail.uploaded(extent.end)
        self.producers.transactions.committed(extent.end)
        if self._ranges is not None and (not self._ranges or self._ranges[-1].start < extent.start):
            self._ranges.append(
                RangeRow(
                    start=extent.start,
                    end=extent.end,
                    object_id=object_id,
                    object_bytes=object_bytes,
                    size_bytes=extent.size_bytes,
                    max_timestamp_ms=extent.max_timestamp_ms,
                )
            )

    def caught_up(self, end: int) -> None:
        """An earlier upload of ours turned out to be visible, up to `end`."""
        size_bytes = sum(len(piece.data) for piece in self._tail.pending(self.committed_end, end))
        self.committed_end, self._ranges = end, None
        if self._gone is None:
            self._count(-size_bytes)
        self.committed_bytes += size_bytes
        self._tail.uploaded(end)
        self.producers.transactions.committed(end)

    async def delete_records(self, before: int, *, now_ms: int) -> int:
        """Raises the log start to `before` (-1: the high watermark), durably; the log start that holds then.
        OffsetOutOfRange past the high watermark.
        """
        if self._gone is not None:
            raise self._gone
        start = self.high_watermark if before == -1 else before
        if not 0 <= start <= self.high_watermark:
            raise OffsetOutOfRange(f"delete before {before}: {self.topic}-{self.index} ends at {self.high_watermark}")
        if start > self.log_start:
            self.dropped(start, await self._reader.raise_start(self.uid, self.epoch, start, now_ms))
        return self.log_start

    def rewritten(self, change_bytes: int = 0, clean_to: int = 0) -> None:
        """Other objects stand for some of our ranges now, with that many bytes more (or fewer); below `clean_to` they
        hold less than the tail remembers.
        """
        self._ranges = None
        self._tail.forget(clean_to)
        self.committed_bytes += change_bytes

    def dropped(self, start: int, freed_bytes: int) -> None:
        """Retention, or a client, took everything below `start`."""
        self.log_start = max(self.log_start, start)
        self.producers.transactions.forget(self.log_start)
        self.committed_bytes -= freed_bytes
        if self._ranges is not None:
            self._ranges = [row for row in self._ranges if row.end > start]

    def hold(self) -> None:
        """A handover begins: from now on appends wait."""
        self.closing, self._held = True, self._held or []

    def refuse_held(self, why: KafkaError | None = None) -> None:
        """Sends away, in order, the appends that wait; while the handover lasts, later ones are refused at once."""
        held, self._held = self._held or [], None
        for *_, done in held:
            refuse(done, why or self._in_handover())

    def go_on(self) -> None:
        """The handover came to nothing: the appends that waited are taken, in their order."""
        held, self._held = self._held or [], None
        self.closing = False
        for records, found, acks, guard, done in held:
            try:
                self.take(records, found, acks, guard, done)
            except KafkaError as error:
                refuse(done, error)

    def _in_handover(self) -> NotLeaderOrFollower:
        return NotLeaderOrFollower(f"{self.topic}-{self.index} is being handed over")

    def close(self, why: KafkaError) -> None:
        """Not ours any more: every waiter and every later call gets `why`."""
        self._gone = why
        self.refuse_held(why)
        self._count(-self.pending_bytes)
        self._tail.close()
        self._waiters.refuse(why)
        self._stable_waiters.refuse(why)


def _owned(records: Bytes) -> bytearray | memoryview:
    """The records as something to patch and to keep: in the frame they came in where they are most of it, else a copy,
    since a small batch would keep a large frame in memory that nobody counts.
    """
    if isinstance(records, memoryview) and not records.readonly and 2 * len(records) >= memoryview(records.obj).nbytes:
        return records
    return bytearray(records)
