"""Moves what is durable in the WAL into objects, and ranges to other brokers; one at a time per broker.

1. The pieces are taken at one instant together with a WAL mark; when every object of that instant is committed, the WAL
   is trimmed to the mark. Whatever was refused is void (law 3), so it does not hold the trim back.
2. Objects of one round go up side by side, a bounded number of bounded size, so that a store that was away is caught up
   with fast; they are committed in order, because a range grows at its end only.
3. A commit whose answer was lost is asked again with the same object id, which is harmless.
4. A handover is an upload whose last transaction also changes the owners (law 3); before it the bulk is uploaded while
   appends go on, so that the gap a producer sees is one small upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from broker.clock import Clock
from broker.errors import KafkaStorageError
from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.reader import object_key
from broker.metadata import commits
from broker.metadata.database import MetadataUnavailable, Tx
from broker.metadata.rows import Extent
from broker.metadata.store import Metadata
from broker.objects.layout import ObjectBuilder, Piece
from broker.objects.store import ObjectStore
from broker.wal.base import Wal

COMMIT_TRIES = 50
COMMIT_WAIT_S = 0.2
LARGEST_OBJECT_BYTES = 32 * 1024 * 1024
"""More of one partition goes into several objects: an object is copied whole while it is built."""
UPLOADS_IN_FLIGHT = 4
WARM_BYTES = 256 * 1024
"""Above this a handover uploads once before it stops appends."""

Result = TypeVar("Result")
Closing = Callable[[Tx], set[int]]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One log's share of an upload."""

    log: Log
    pieces: Sequence[Piece]
    extent: Extent


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
        config: LogsConfig,
        stats: StorageStats,
    ) -> None:
        self._metadata, self._store, self._wal, self._owner = metadata, store, wal, owner
        self._clock, self._config, self._stats = clock, config, stats
        self._one_at_a_time = asyncio.Lock()

    async def upload(self, logs: Sequence[Log]) -> None:
        """Everything durable in all logs of the broker; then the WAL forgets it. StoreUnavailable when the store is
        away.
        """
        async with self._one_at_a_time:
            mark = self._wal.mark()
            await self._upload(gather(logs))
            await self._wal.trim(mark)

    async def hand_over(self, logs: Sequence[Log]) -> set[int]:
        """Uploads the rest of these logs and gives them to their targets; the uids that moved."""
        if sum(log.pending_bytes for log in logs) > WARM_BYTES:
            async with self._one_at_a_time:
                await self._upload(gather(logs))
        return await self._close_with(logs, commits.hand_over)

    async def release(self, logs: Sequence[Log]) -> set[int]:
        """Uploads the rest of everything and gives it to other live brokers, or to nobody."""
        return await self._close_with(logs, commits.release)

    async def _close_with(
        self, logs: Sequence[Log], how: Callable[[Tx, dict[int, tuple[int, int]], commits.Wal], set[int]]
    ) -> set[int]:
        for log in logs:
            log.closing = True
        closed: set[int] = set()
        try:
            await asyncio.gather(*(log.wait_for(log.log_end - 1) for log in logs if log.log_end > log.log_start))
            async with self._one_at_a_time:
                ends = {log.uid: (log.epoch, log.log_end) for log in logs}
                closed = await self._upload(gather(logs), lambda tx: how(tx, ends, self._owner))
        finally:
            for log in logs:
                log.closing = log.uid in closed
        return closed

    async def _upload(self, parts: Sequence[Part], closing: Closing | None = None) -> set[int]:
        groups = grouped(parts, self._config.own_object_bytes)
        places = asyncio.Semaphore(UPLOADS_IN_FLIGHT)
        puts = [asyncio.ensure_future(self._put(group, places)) for group in groups]
        closed: set[int] = set()
        try:
            for number, (group, put) in enumerate(zip(groups, puts, strict=True)):
                closed = await self._upload_object(group, put, closing if number == len(groups) - 1 else None)
        finally:
            for put in puts:
                put.cancel()
            await asyncio.gather(*puts, return_exceptions=True)
        if not groups and closing is not None:
            closed = await self._repeat(lambda: self._metadata.write(closing))
        return closed

    async def _upload_object(
        self, parts: Sequence[Part], put: Awaitable[Uploaded], closing: Closing | None
    ) -> set[int]:
        begun = self._clock.monotonic()
        try:
            done = await put
            refused, closed = await self._commit(done.object_id, done.size_bytes, parts, closing)
        except KafkaStorageError:
            self._stats.upload_failures += 1
            self._stats.on_operation("upload", "error", self._clock.monotonic() - begun)
            raise
        for part in parts:
            if part.log.uid not in refused:
                part.log.committed(part.extent, done.object_id)
        self._stats.uploads += 1
        self._stats.on_upload_bytes(done.size_bytes)
        self._stats.on_operation("upload", "ok", done.seconds)
        return closed

    async def _put(self, parts: Sequence[Part], places: asyncio.Semaphore) -> Uploaded:
        async with places:
            begun = self._clock.monotonic()
            now_ms = self._clock.wall_ms()
            object_id = await self._metadata.write(lambda tx: commits.prepare(tx, self._owner[0], now_ms))
            data = await asyncio.get_running_loop().run_in_executor(None, build, [(p.log.uid, p.pieces) for p in parts])
            await self._store.put(object_key(object_id), data)
            return Uploaded(object_id=object_id, size_bytes=len(data), seconds=self._clock.monotonic() - begun)

    async def _commit(
        self, object_id: int, size: int, parts: Sequence[Part], closing: Closing | None
    ) -> tuple[set[int], set[int]]:
        extents = [part.extent for part in parts]
        now_ms = self._clock.wall_ms()

        def work(tx: Tx) -> tuple[set[int], set[int]]:
            refused = commits.commit(tx, object_id, size, extents, self._owner, now_ms)
            return refused, closing(tx) if closing is not None else set()

        return await self._repeat(lambda: self._metadata.write(work))

    async def _repeat(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        for _ in range(COMMIT_TRIES):
            try:
                return await ask()
            except MetadataUnavailable:
                await self._clock.sleep(COMMIT_WAIT_S)
        return await ask()


def gather(logs: Sequence[Log]) -> list[Part]:
    """What each log has ready, at this instant; more than an object may hold comes as several parts, in order."""
    parts = []
    for log in logs:
        pieces, extent = log.pending()
        if extent is None:
            continue
        if extent.size_bytes <= LARGEST_OBJECT_BYTES:
            parts.append(Part(log=log, pieces=pieces, extent=extent))
            continue
        parts += [Part(log=log, pieces=some, extent=log.extent(some)) for some in _runs(pieces)]
    return parts


def _runs(pieces: Sequence[Piece]) -> Iterator[Sequence[Piece]]:
    first = size = 0
    for number, piece in enumerate(pieces):
        if number > first and size + len(piece.data) > LARGEST_OBJECT_BYTES:
            yield pieces[first:number]
            first, size = number, 0
        size += len(piece.data)
    yield pieces[first:]


def grouped(parts: Sequence[Part], own_object_bytes: int) -> list[list[Part]]:
    """Which parts share an object: large ones have one each, small ones fill one after the other."""
    groups = [[part] for part in parts if part.extent.size_bytes > own_object_bytes]
    shared: list[Part] = []
    size = 0
    for part in parts:
        if part.extent.size_bytes > own_object_bytes:
            continue
        if shared and size + part.extent.size_bytes > LARGEST_OBJECT_BYTES:
            groups.append(shared)
            shared, size = [], 0
        shared.append(part)
        size += part.extent.size_bytes
    return [*groups, shared] if shared else groups


def build(parts: Sequence[tuple[int, Sequence[Piece]]]) -> bytes:
    """One object; checksums and copying, so it runs in a thread."""
    builder = ObjectBuilder()
    for uid, pieces in parts:
        builder.add(uid, pieces)
    return builder.build()
