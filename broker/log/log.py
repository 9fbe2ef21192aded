"""One partition as its owner sees it: appends become durable in the WAL and visible in order; reads come from tail or
objects.

1. `append` does everything up to the WAL's queue before it first waits, so calls in a row keep their order, and it
   refuses before a sequence number is recorded: a refused batch leaves no trace (law 12).
2. The high watermark moves only when the WAL calls back, in append order; nothing past it is read, listed or
   snapshotted (law 6).
3. While a log is handed over, appends wait in their order for the outcome, and reads are served; when it is closed,
   every waiter is told who leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.errors import KafkaError, NotEnoughReplicas, NotLeaderOrFollower, OffsetOutOfRange
from broker.log.producers import Producers
from broker.log.reader import ObjectReader
from broker.log.tail import Tail, TailBudget
from broker.log.times import NOTHING, first_at
from broker.metadata.image import Partition
from broker.metadata.rows import Extent, Opening, RangeRow
from broker.objects.layout import Piece
from broker.records.batch import Batch, check_produced, patch
from broker.wal.base import Entry, Wal, WalFull

Bytes = bytes | bytearray | memoryview
SWEEP_FROM = 64
Waiter = tuple[int, asyncio.Future[Any], int | None]
"""Offset, who waits for it to be readable, and for an append the base offset it is answered with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    base_offset: int
    log_append_time_ms: int
    """-1: the producer's timestamps are kept."""
    log_start: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Whole record batches, the first of which may begin before the offset asked for."""

    data: list[Bytes]
    high_watermark: int
    last_stable: int
    log_start: int


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
        self.closing = False
        """Whether it is being handed over."""
        self._held: list[tuple[Bytes, int, asyncio.Future[Appended]]] | None = None
        """Appends that wait for the outcome of a handover, oldest first; None when they are refused, or not closing."""
        self._wal, self._reader = wal, reader
        self._tail, self._budget = Tail(budget, opening.end), budget
        self._ranges: list[RangeRow] | None = None
        self._gone: KafkaError | None = None
        self._waiters: list[Waiter] = []
        self._sweep_at = SWEEP_FROM

    @property
    def last_stable(self) -> int:
        """Where read_committed consumers may read to: the high watermark, while there are no transactions."""
        return self.high_watermark

    @property
    def is_settled(self) -> bool:
        """Open, and all that was appended is durable."""
        return self._gone is None and self.high_watermark >= self.log_end

    @property
    def size_bytes(self) -> int:
        return self.committed_bytes + self.pending_bytes

    # -- appending ---------------------------------------------------------------------------------------------------

    def append(self, records: Bytes, *, acks: int) -> asyncio.Future[Appended]:
        """Takes what a producer sent; done when it is durable, or at once for acks=0.

        Raises at once (nothing recorded): CorruptMessage, InvalidRecord, OutOfOrderSequenceNumber,
        InvalidProducerEpoch, NotLeaderOrFollower, and NotEnoughReplicas (retriable) while the WAL has no room.
        """
        if self._gone is not None:
            raise self._gone
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        if self.closing:
            if self._held is None:
                raise self._in_handover()
            self._held.append((records, acks, done))
            return done
        found = check_produced(records)
        repeated = self._repeated(found)
        if repeated is not None:
            self._answer_at(repeated[1], repeated[0], done)
            return done
        base = self.log_end
        end = self._store(bytearray(records), found)
        if acks == 0:
            done.set_result(self._appended(base))
        else:
            self._answer_at(end, base, done)
        return done

    def _repeated(self, found: Sequence[Batch]) -> tuple[int, int] | None:
        """(base, end) of the earlier append when these batches are a retry."""
        for batch in found:
            if batch.is_idempotent and (written := self.producers.check(batch)) is not None:
                return written.base_offset, written.end_offset
        return None

    def _store(self, data: bytearray, found: Sequence[Batch]) -> int:
        """Gives offsets, queues for the WAL, and only then remembers anything; the new log end."""
        offset = base = self.log_end
        for batch in found:
            patch(data, batch, base_offset=offset, leader_epoch=self.epoch)
            offset += batch.last_offset_delta + 1
        piece = Piece(
            base_offset=base, end_offset=offset, max_timestamp_ms=max(b.max_timestamp for b in found), data=data
        )
        entry = Entry(uid=self.uid, epoch=self.epoch, base_offset=base, end_offset=offset, records=data)
        try:
            self._wal.append(entry, lambda: self._durable(offset))
        except WalFull as error:
            raise NotEnoughReplicas(f"{error}: retry, uploads are behind") from error
        at = base
        for batch in found:
            if batch.is_idempotent:
                self.producers.record(batch, at)
            at += batch.last_offset_delta + 1
        self._tail.append(piece)
        self.log_end = offset
        self._count(len(data))
        return offset

    def _count(self, size: int) -> None:
        """Bytes that wait for upload, here and in the whole broker: more of them, or fewer."""
        self.pending_bytes += size
        self._budget.pending_bytes += size
        self._budget.appended_bytes += max(size, 0)

    def _answer_at(self, end: int, base: int, done: asyncio.Future[Appended]) -> None:
        if end <= self.high_watermark:
            done.set_result(self._appended(base))
        else:
            self._wait(end - 1, done, base)

    def _appended(self, base: int) -> Appended:
        return Appended(base_offset=base, log_append_time_ms=-1, log_start=self.log_start)

    def _durable(self, end: int) -> None:
        if self._gone is not None:
            return
        self.high_watermark = max(self.high_watermark, end)
        if self._waiters:
            waiting: list[Waiter] = []
            for waiter in self._waiters:
                offset, future, base = waiter
                if offset >= end:
                    waiting.append(waiter)
                elif not future.done():
                    future.set_result(None if base is None else self._appended(base))
            self._waiters = waiting

    def wait_for(self, offset: int) -> asyncio.Future[None]:
        """Done when the record at `offset` may be read; NotLeaderOrFollower when the log is lost before that."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tell(offset, future)
        return future

    def tell(self, offset: int, future: asyncio.Future[None]) -> None:
        """`wait_for` with a future that may wait in many logs at once: the first of them ends it."""
        if future.done():
            return
        if self._gone is not None:
            _refuse(future, self._gone)
        elif offset < self.high_watermark:
            future.set_result(None)
        else:
            self._wait(offset, future, None)

    def _wait(self, offset: int, future: asyncio.Future[Any], base: int | None) -> None:
        """Long polls that gave up are swept out as the list grows, so that an idle log keeps none (law 12)."""
        if len(self._waiters) >= self._sweep_at:
            self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]
            self._sweep_at = max(SWEEP_FROM, 2 * len(self._waiters))
        self._waiters.append((offset, future, base))

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(self, offset: int, max_bytes: int, *, min_one: bool) -> Slice:
        """Batches from `offset` up to the high watermark. OffsetOutOfRange outside of the log."""
        if self._gone is not None:
            raise self._gone
        if not self.log_start <= offset <= self.log_end:
            raise OffsetOutOfRange(f"offset {offset} of {self.topic}-{self.index}: {self.log_start} to {self.log_end}")
        data: list[Bytes] = []
        if offset < self.high_watermark and (max_bytes > 0 or min_one):
            self._budget.served(hit := self._tail.holds(offset))
            found = None if hit else await self._read_objects(offset, max_bytes, min_one)
            data = found if found is not None else self._read_tail(offset, max_bytes, min_one)
        return Slice(
            data=data, high_watermark=self.high_watermark, last_stable=self.last_stable, log_start=self.log_start
        )

    def _read_tail(self, offset: int, max_bytes: int, min_one: bool) -> list[Bytes]:
        """From the tail, also when cleaning left nothing of what is in objects from `offset` on."""
        start = offset if self._tail.holds(offset) else max(offset, self.committed_end)
        if not self._tail.holds(start):
            return []
        return [piece.data for piece in self._tail.read(start, self.high_watermark, max_bytes, min_one)]

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
        self.committed_bytes -= freed_bytes
        if self._ranges is not None:
            self._ranges = [row for row in self._ranges if row.end > start]

    def hold(self) -> None:
        """A handover begins: from now on appends wait."""
        self.closing, self._held = True, self._held or []

    def refuse_held(self, why: KafkaError | None = None) -> None:
        """Sends away, in order, the appends that wait; while the handover lasts, later ones are refused at once."""
        held, self._held = self._held or [], None
        for _, _, done in held:
            _refuse(done, why or self._in_handover())

    def go_on(self) -> None:
        """The handover came to nothing: the appends that waited are taken, in their order."""
        held, self._held = self._held or [], None
        self.closing = False
        for records, acks, done in held:
            try:
                _follow(self.append(records, acks=acks), done)
            except KafkaError as error:
                _refuse(done, error)

    def _in_handover(self) -> NotLeaderOrFollower:
        return NotLeaderOrFollower(f"{self.topic}-{self.index} is being handed over")

    def close(self, why: KafkaError) -> None:
        """Not ours any more: every waiter and every later call gets `why`."""
        self._gone = why
        self.refuse_held(why)
        self._count(-self.pending_bytes)
        self._tail.close()
        waiters, self._waiters = self._waiters, []
        for _, future, _ in waiters:
            _refuse(future, why)


def _refuse(future: asyncio.Future[Any], why: KafkaError) -> None:
    """Tells who waits. Nobody may: a request whose client went away, or a step that was cancelled, is no fault."""
    if not future.done():
        future.set_exception(why)
        future.exception()  # or asyncio says on stderr that nobody looked


def _follow(first: asyncio.Future[Appended], second: asyncio.Future[Appended]) -> None:
    """Gives the outcome of the first to the second."""

    def pass_on(done: asyncio.Future[Appended]) -> None:
        if second.done() or done.cancelled():
            return
        if (error := done.exception()) is not None:
            second.set_exception(error)
        else:
            second.set_result(done.result())

    first.add_done_callback(pass_on)
