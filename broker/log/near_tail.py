"""A tail that another broker leads, as far as it was fetched: read as a `Log` is, up to the leader's own marks."""

from __future__ import annotations

import asyncio
from bisect import bisect_right

from broker.errors import KafkaError
from broker.log.answers import Bytes, Slice
from broker.peers.tails import ToldTail
from broker.records.batch import batches


class NearTail:
    """Of one partition, one leadership, and one isolation level. Batches are contiguous and in order."""

    def __init__(self, uid: int, epoch: int, *, committed: bool, start: int, now: float) -> None:
        self.uid, self.epoch, self.committed = uid, epoch, committed
        self.end = start
        """Where the next fetch goes on."""
        self.high_watermark = self.last_stable = self.log_start = -1
        self.held_bytes = 0
        self.used_s = now
        self.gone: KafkaError | None = None
        self.first_answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bases: list[int] = []
        self._batches: list[memoryview] = []
        self._aborted: list[tuple[int, int, int]] = []
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    def __len__(self) -> int:
        """Batches held."""
        return len(self._batches)

    def take(self, told: ToldTail) -> int:
        """An answer of the leader; how many bytes were added."""
        before, view = self.held_bytes, memoryview(told.records)
        for batch in batches(told.records):
            if batch.next_offset <= self.end:
                continue
            self._bases.append(batch.base_offset)
            self._batches.append(view[batch.position : batch.position + batch.size_bytes])
            self.held_bytes += batch.size_bytes
            self.end = batch.next_offset
        self._aborted += [one for one in told.aborted if one not in self._aborted]
        marks = (self.high_watermark, self.last_stable)
        self.high_watermark, self.last_stable = told.high_watermark, told.last_stable
        self.log_start = told.log_start
        if not self.first_answer.done():
            self.first_answer.set_result(None)
        if self.held_bytes > before or marks != (told.high_watermark, told.last_stable):
            self._wake()
        return self.held_bytes - before

    def holds(self, offset: int) -> bool:
        """Whether reading may begin here."""
        return offset == self.end or (bool(self._bases) and self._bases[0] <= offset < self.end)

    def read(self, offset: int, max_bytes: int, *, min_one: bool) -> Slice:
        """Batches from the one that holds `offset` on."""
        data: list[Bytes] = []
        room, end = max_bytes, offset
        for number in range(max(bisect_right(self._bases, offset) - 1, 0), len(self._bases)):
            batch = self._batches[number]
            if len(batch) > room and (data or not min_one):
                break
            following = self._bases[number + 1] if number + 1 < len(self._bases) else self.end
            if following <= offset:
                continue
            data.append(batch)
            room, end = room - len(batch), following
        aborted = ((producer, first) for producer, first, marker in self._aborted if marker >= offset and first < end)
        return Slice(
            data=data,
            high_watermark=self.high_watermark,
            last_stable=self.last_stable,
            log_start=self.log_start,
            aborted=tuple(aborted) if data else (),
        )

    def tell(self, offset: int, future: asyncio.Future[None]) -> None:
        """Ends the future when there is something at `offset`, or the tail is lost."""
        if future.done():
            return
        if self.gone is not None or offset < self.end:
            future.set_result(None)
        else:
            self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]
            self._waiters.append((offset, future))

    def drop_oldest(self) -> int:
        """Forgets the oldest batch; the bytes that freed."""
        if not self._batches:
            return 0
        del self._bases[0]
        size = len(self._batches.pop(0))
        self.held_bytes -= size
        floor = self._bases[0] if self._bases else self.end
        self._aborted = [one for one in self._aborted if one[2] >= floor]
        return size

    def close(self, why: KafkaError) -> int:
        """Readers go back to the leader; the bytes that freed."""
        self.gone, freed = why, self.held_bytes
        self._bases, self._batches, self._aborted, self.held_bytes = [], [], [], 0
        if not self.first_answer.done():
            self.first_answer.set_result(None)
        self._wake()
        return freed

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for offset, future in waiters:
            if self.gone is not None or offset < self.end:
                if not future.done():
                    future.set_result(None)
            elif not future.done():
                self._waiters.append((offset, future))
