"""The leader's side of reading near: tails, for brokers that have readers in their zone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.errors import FencedLeaderEpoch, KafkaError, NotLeaderOrFollower
from broker.log.log import Log
from broker.peers.tails import MAX_BYTES, AskedTail, ToldTail, put_told, read_asked
from broker.records.batch import batches
from broker.wire.cursor import Cursor

_LONGEST_WAIT_MS = 1000


class TailServer:
    """Answers TAIL from the logs this broker leads."""

    def __init__(self, find: Callable[[int], Log | None], count: Callable[[int], None]) -> None:
        """`find` gives the open log of a uid; `count` is told the bytes that leave."""
        self._find, self._count = find, count

    async def serve(self, cursor: Cursor) -> bytes:
        """What there is, or what comes within the wait."""
        wait_ms, asked = read_asked(cursor)
        told = await self._look(asked)
        if not any(each.records or each.error for each in told) and wait_ms > 0:
            await self._growth(asked, min(wait_ms, _LONGEST_WAIT_MS) / 1000)
            told = await self._look(asked)
        self._count(sum(len(each.records) for each in told))
        return put_told(told)

    async def _look(self, asked: list[AskedTail]) -> list[ToldTail]:
        left, told = MAX_BYTES, []
        for each in asked:
            found = await self._read(each, left)
            left = max(left - len(found.records), 0)
            told.append(found)
        return told

    async def _read(self, asked: AskedTail, left: int) -> ToldTail:
        try:
            log = self._log(asked)
            size = min(asked.max_bytes, left)
            # before the read, as the cleaner may forget some while it waits
            known = log.producers.transactions.within(asked.offset, log.last_stable) if asked.committed else []
            part = await log.read(asked.offset, size, min_one=left == MAX_BYTES, committed=asked.committed)
        except KafkaError as error:
            return ToldTail(uid=asked.uid, committed=asked.committed, error=error.code)
        records = b"".join(part.data)
        aborted: tuple[tuple[int, int, int], ...] = ()
        if records and asked.committed:
            end = max(batch.next_offset for batch in batches(records))
            aborted = tuple((one.producer_id, one.first, one.marker) for one in known if one.first < end)
        return ToldTail(
            uid=asked.uid,
            committed=asked.committed,
            error=0,
            high_watermark=part.high_watermark,
            last_stable=part.last_stable,
            log_start=part.log_start,
            aborted=aborted,
            records=records,
        )

    def _log(self, asked: AskedTail) -> Log:
        log = self._find(asked.uid)
        if log is None:
            raise NotLeaderOrFollower(f"partition {asked.uid:x} is not led here")
        if log.epoch != asked.epoch:
            raise FencedLeaderEpoch(f"epoch {asked.epoch} of partition {asked.uid:x} is not {log.epoch}")
        return log

    async def _growth(self, asked: list[AskedTail], seconds: float) -> None:
        grown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            for each in asked:
                log = self._find(each.uid)
                if log is not None:
                    log.tell(each.offset, grown, committed=each.committed)
            await asyncio.wait((grown,), timeout=seconds)
        finally:
            if not grown.cancel() and not grown.cancelled():
                grown.exception()
