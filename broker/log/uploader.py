"""Moves what is durable in the WAL into objects, and ranges to other brokers.

1. The WAL's mark is taken first and the pieces after it, in turns (law 14): they hold all that is below the mark. When
   every object of a round is committed, the WAL is trimmed to the mark. Whatever was refused is void (law 3), so it
   does not hold the trim back.
2. Objects of one round go up side by side, a bounded number of bounded size, so that a store that was away is caught up
   with fast; they are committed in order, because a range grows at its end only.
3. A commit whose answer was lost is asked again with the same object id, which is harmless. Who asks may be cancelled,
   the question is not: the log learns the outcome before it is gathered again. And a log that is refused though it is
   still ours learns from SQL where its committed end is, and the WAL forgets nothing in that round.
4. A handover is an upload whose last transaction also changes the owners (law 3); before it the bulk is uploaded while
   appends go on, so that the gap a producer sees is one small upload. It runs beside the bulk upload of other logs, and
   waits for one that its own logs are in before it holds appends back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from broker.clock import Clock
from broker.errors import KafkaStorageError
from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.parts import Checkpoint, Part, gather, grouped
from broker.log.reader import object_key
from broker.metadata import commits
from broker.metadata.database import MetadataUnavailable, Tx
from broker.metadata.store import Metadata
from broker.objects.layout import build
from broker.objects.store import ObjectStore
from broker.turns import EVERY, Turns
from broker.wal.base import Wal

COMMIT_TRIES = 50
COMMIT_WAIT_S = 0.2
UPLOADS_IN_FLIGHT = 4
WARM_BYTES = 256 * 1024
"""Above this a handover uploads before it holds appends back."""
WARM_ROUNDS = 3
HOLD_S = 1.0
"""How long a producer's append waits for the end of a handover before it is refused."""
HELD_PUT_S = 5.0
"""How long the last object of a handover may take; then the handover is given up and tried again later."""

Result = TypeVar("Result")
Closing = Callable[[Tx], set[int]]
Giving = Callable[[Tx, dict[int, tuple[int, int]], commits.Wal], set[int]]
"""(transaction, uid to (leader epoch, end), WAL) -> the uids whose ranges are closed"""


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """An object that is in the store and not committed yet."""

    object_id: int
    size_bytes: int
    seconds: float


class Uploader:
    def __init__(
        self,
        *,
        metadata: Metadata,
        store: ObjectStore,
        wal: Wal,
        owner: commits.Wal,
        clock: Clock,
        turns: Turns,
        config: LogsConfig,
        stats: StorageStats,
    ) -> None:
        self._metadata, self._store, self._wal, self._owner = metadata, store, wal, owner
        self._clock, self._turns, self._config, self._stats = clock, turns, config, stats
        self._one_at_a_time = asyncio.Lock()
        self._busy: dict[int, asyncio.Future[None]] = {}
        """Uids of logs that are in an upload or a handover, and when that is over."""
        self._handovers: set[asyncio.Future[bool]] = set()
        """Under way; whether what they took is committed."""
        self._in_doubt = False
        """Whether the last upload failed."""
        self._unheard: set[asyncio.Task[set[int]]] = set()
        """Commits under way whose askers were cancelled."""
        self._corrections = 0
        """How often a committed end was behind what SQL says."""
        self._over = False

    async def upload(self, logs: Sequence[Log], until: Checkpoint | None = None) -> None:
        """Everything durable in all logs of the broker, or what was so at a checkpoint; then the WAL forgets it, unless
        a handover that began before has failed to bring its part away. StoreUnavailable when the store is away.
        """
        async with self._one_at_a_time:
            await self._hear()
            mark, beside = self._wal.mark() if until is None else until.mark, list(self._handovers)
            corrections = self._corrections
            some = [log for log in logs if log.pending_bytes and log.uid not in self._busy]
            with self._claimed({log.uid for log in some}):
                await self._upload(await gather(some, self._turns, until))
            taken = all(await asyncio.gather(*beside)) and corrections == self._corrections
            if self._over:
                raise KafkaStorageError("this broker is going down: its WAL keeps what it has")
            if taken:
                await self._wal.trim(mark)

    def end(self) -> None:
        """The broker is over and its logs are closed: what they held and nobody uploaded is in the WAL, for whoever
        recovers it. No trim comes after this.
        """
        self._over = True

    async def hand_over(self, logs: Sequence[Log]) -> set[int]:
        """Uploads the rest of these logs and gives them to their targets; the uids whose ranges are closed."""
        return await self._close_with(logs, commits.hand_over)

    async def release(self, logs: Sequence[Log]) -> set[int]:
        """Uploads the rest of everything and gives it to other live brokers, or to nobody."""
        return await self._close_with(logs, commits.release)

    async def _close_with(self, logs: Sequence[Log], how: Giving) -> set[int]:
        """What takes long comes before appends are held: the bulk, an object id, and uploads these logs are in."""
        await self._hear()
        settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        closed: set[int] = set()
        spare = await self._prepare()
        self._handovers.add(settled)
        try:
            await self._lighten(logs)
            with self._claimed({log.uid for log in logs}), self._held(logs, closed):
                await asyncio.gather(*(log.wait_for(log.log_end - 1) for log in logs if not log.is_settled))
                ends = {log.uid: (log.epoch, log.log_end) for log in logs}
                parts = await gather(logs, self._turns)
                closed |= await self._upload(parts, lambda tx: how(tx, ends, self._owner), spare)
            settled.set_result(True)
        finally:
            self._handovers.discard(settled)
            if not settled.done():
                settled.set_result(False)
        return closed

    async def _lighten(self, logs: Sequence[Log]) -> None:
        """Returns, without a step in between, when none of the logs is in an upload and little of them is left. A store
        that failed must first show that it is back: producers are not held for finding out.
        """
        for _ in range(WARM_ROUNDS):
            await self._idle(logs)
            pending_bytes = sum(log.pending_bytes for log in logs)
            if not pending_bytes or (pending_bytes <= WARM_BYTES and not self._in_doubt):
                return
            some = [log for log in logs if log.pending_bytes]
            with self._claimed({log.uid for log in some}):
                await self._upload(await gather(some, self._turns))
        await self._idle(logs)

    async def _idle(self, logs: Sequence[Log]) -> None:
        while busy := [self._busy[log.uid] for log in logs if log.uid in self._busy]:
            await asyncio.wait(busy)

    @contextlib.contextmanager
    def _claimed(self, uids: set[int]) -> Iterator[None]:
        """Keeps other uploads away from these logs; one whose last object is committed is let go early."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._busy.update(dict.fromkeys(uids, mine))
        try:
            yield
        finally:
            for uid in uids:
                if self._busy.get(uid) is mine:
                    del self._busy[uid]
            mine.set_result(None)

    @contextlib.contextmanager
    def _held(self, logs: Sequence[Log], closed: set[int]) -> Iterator[None]:
        """Appends wait for the outcome, for HOLD_S at most; what is not in `closed` at the end takes them up again. Who
        is cancelled does not know the outcome: then nothing may be appended any more.
        """
        for log in logs:
            log.hold()
        patience = asyncio.ensure_future(self._lose_patience(logs))
        try:
            yield
        except asyncio.CancelledError:
            closed |= {log.uid for log in logs}
            raise
        finally:
            patience.cancel()
            for log in logs:
                if log.uid not in closed:
                    log.go_on()

    async def _lose_patience(self, logs: Sequence[Log]) -> None:
        await self._clock.sleep(HOLD_S)
        for log in logs:
            log.refuse_held()

    async def _upload(
        self, parts: Sequence[Part], closing: Closing | None = None, spare: int | None = None
    ) -> set[int]:
        """Puts and commits; with the last commit goes `closing`. `spare` is an object id that is prepared already."""
        groups = grouped(parts, self._config.own_object_bytes)
        places = asyncio.Semaphore(UPLOADS_IN_FLIGHT)
        ids = [spare if number == 0 else None for number in range(len(groups))]
        puts = [asyncio.ensure_future(self._put(*each, places)) for each in zip(groups, ids, strict=True)]
        closed: set[int] = set()
        try:
            for number, (group, put) in enumerate(zip(groups, puts, strict=True)):
                closed = await self._upload_object(group, put, closing if number == len(groups) - 1 else None)
        finally:
            for put in puts:
                put.cancel()
            await asyncio.gather(*puts, return_exceptions=True)
        if not groups and closing is not None:
            without = partial(_without, spare=spare, closing=closing)
            closed = await self._heard(self._repeat(lambda: self._metadata.write(without), for_ever=True))
        return closed

    async def _upload_object(
        self, parts: Sequence[Part], put: Awaitable[Uploaded], closing: Closing | None
    ) -> set[int]:
        begun = self._clock.monotonic()
        try:
            done = await (put if closing is None else _in_time(put))
            return await self._heard(self._finish(parts, done, closing))
        except KafkaStorageError:
            self._in_doubt = True
            self._stats.upload_failures += 1
            self._stats.on_operation("upload", "error", self._clock.monotonic() - begun)
            raise

    async def _finish(self, parts: Sequence[Part], done: Uploaded, closing: Closing | None) -> set[int]:
        """Commits, and tells the logs."""
        refused, closed = await self._commit(done.object_id, done.size_bytes, parts, closing)
        for number, part in enumerate(parts, 1):
            if part.log.uid not in refused:
                part.log.committed(part.extent, done.object_id, done.size_bytes)
            if number % EVERY == 0:
                await self._turns.rest()
        if refused:
            await self._correct([part.log for part in parts if part.log.uid in refused])
        self._in_doubt = False
        self._stats.uploads += 1
        self._stats.on_upload_bytes(done.size_bytes)
        self._stats.on_operation("upload", "ok", done.seconds)
        return closed

    async def _heard(self, work: Coroutine[None, None, set[int]]) -> set[int]:
        """The outcome; it comes about even when who waits for it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                self._unheard.add(task)
                task.add_done_callback(self._unheard.discard)
            raise

    async def _hear(self) -> None:
        """Waits for outcomes that nobody waits for any more."""
        if self._unheard:
            await asyncio.gather(*self._unheard, return_exceptions=True)

    async def _correct(self, logs: Sequence[Log]) -> None:
        """What is refused is void (law 3); a log that is still ours was committed further, by an answer unheard. Until
        that is known the WAL keeps everything; it never changes what the commit itself has done.
        """
        self._corrections += 1
        try:
            found = await self._metadata.read(lambda tx: commits.openings(tx, *self._owner, [log.uid for log in logs]))
        except KafkaStorageError:
            return
        ends = {(one.uid, one.epoch): one.end for one in found}
        for log in logs:
            end = ends.get((log.uid, log.epoch), -1)
            if end > log.committed_end:
                log.caught_up(end)

    async def _prepare(self) -> int:
        now_ms = self._clock.wall_ms()
        return await self._metadata.write(lambda tx: commits.prepare(tx, self._owner[0], now_ms))

    async def _put(self, parts: Sequence[Part], object_id: int | None, places: asyncio.Semaphore) -> Uploaded:
        async with places:
            begun = self._clock.monotonic()
            if object_id is None:
                object_id = await self._prepare()
            data = await asyncio.get_running_loop().run_in_executor(None, build, [(p.log.uid, p.pieces) for p in parts])
            await self._store.put(object_key(object_id), data)
            return Uploaded(object_id=object_id, size_bytes=data.size_bytes, seconds=self._clock.monotonic() - begun)

    async def _commit(
        self, object_id: int, size: int, parts: Sequence[Part], closing: Closing | None
    ) -> tuple[set[int], set[int]]:
        extents = [part.extent for part in parts]
        now_ms = self._clock.wall_ms()

        asked = 0

        def work(tx: Tx) -> tuple[set[int], set[int]]:
            nonlocal asked
            asked += 1
            try:
                refused = commits.commit(tx, object_id, size, extents, self._owner, now_ms)
            except KafkaStorageError:
                if closing is None or asked == 1:
                    raise
                refused = {extent.uid for extent in extents}  # long gone; but what did the first asking close?
            return refused, closing(tx) if closing is not None else set()

        return await self._repeat(lambda: self._metadata.write(work), for_ever=closing is not None)

    async def _repeat(self, ask: Callable[[], Awaitable[Result]], *, for_ever: bool) -> Result:
        """Asks until there is an answer. A commit that may have closed ranges is never given up: without its answer
        nobody knows whether they may still grow.
        """
        tries = COMMIT_TRIES
        while tries or for_ever:
            try:
                return await ask()
            except MetadataUnavailable:
                await self._clock.sleep(COMMIT_WAIT_S)
                tries = max(tries - 1, 0)
        return await ask()


async def _in_time(put: Awaitable[Uploaded]) -> Uploaded:
    """The upload, while producers wait for it; KafkaStorageError when the store is too slow for that."""
    try:
        async with asyncio.timeout(HELD_PUT_S):
            return await put
    except TimeoutError as error:
        raise KafkaStorageError(f"the store took over {HELD_PUT_S:g} s for a handover's last records") from error


def _without(tx: Tx, spare: int | None, closing: Closing) -> set[int]:
    """Closes without an object: nothing was left to upload."""
    if spare is not None:
        commits.give_up(tx, spare)
    return closing(tx)
