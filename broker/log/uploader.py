"""Moves what is durable in the WAL into objects, and ranges to other brokers; one at a time per broker.

1. The pieces are taken at one instant together with a WAL mark; when every object of that instant is committed, the WAL
   is trimmed to the mark. Whatever was refused is void (law 3), so it does not hold the trim back.
2. A commit whose answer was lost is asked again with the same object id, which is harmless.
3. A handover is an upload whose last transaction also changes the owners (law 3); before it the bulk is uploaded while
   appends go on, so that the gap a producer sees is one small upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
        large = [[part] for part in parts if part.extent.size_bytes > self._config.own_object_bytes]
        small = [part for part in parts if part.extent.size_bytes <= self._config.own_object_bytes]
        groups = [*large, small] if small else large
        closed: set[int] = set()
        for number, group in enumerate(groups):
            closed = await self._upload_object(group, closing if number == len(groups) - 1 else None)
        if not groups and closing is not None:
            closed = await self._repeat(lambda: self._metadata.write(closing))
        return closed

    async def _upload_object(self, parts: Sequence[Part], closing: Closing | None) -> set[int]:
        begun = self._clock.monotonic()
        try:
            object_id, size = await self._put(parts)
            refused, closed = await self._commit(object_id, size, parts, closing)
        except KafkaStorageError:
            self._stats.upload_failures += 1
            self._stats.on_operation("upload", "error", self._clock.monotonic() - begun)
            raise
        for part in parts:
            if part.log.uid not in refused:
                part.log.committed(part.extent, object_id)
        self._stats.uploads += 1
        self._stats.on_upload_bytes(size)
        self._stats.on_operation("upload", "ok", self._clock.monotonic() - begun)
        return closed

    async def _put(self, parts: Sequence[Part]) -> tuple[int, int]:
        now_ms = self._clock.wall_ms()
        object_id = await self._metadata.write(lambda tx: commits.prepare(tx, self._owner[0], now_ms))
        data = await asyncio.get_running_loop().run_in_executor(None, build, [(p.log.uid, p.pieces) for p in parts])
        await self._store.put(object_key(object_id), data)
        return object_id, len(data)

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
    """What each log has ready, at this instant."""
    parts = []
    for log in logs:
        pieces, extent = log.pending()
        if extent is not None:
            parts.append(Part(log=log, pieces=pieces, extent=extent))
    return parts


def build(parts: Sequence[tuple[int, Sequence[Piece]]]) -> bytes:
    """One object; checksums and copying, so it runs in a thread."""
    builder = ObjectBuilder()
    for uid, pieces in parts:
        builder.add(uid, pieces)
    return builder.build()
