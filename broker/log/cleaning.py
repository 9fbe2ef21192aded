"""cleanup.policy=compact, as the leader of a partition does it: which logs are dirty enough, and their way through the
worker and into new objects.

1. Only what is in objects and below the last stable offset is cleaned, and nothing younger than min.compaction.lag.ms.
2. Ranges in which nothing changed stay as they are; what changed is put together, so that a clean log has few objects.
3. A swap is conditional on the ranges it replaces and on this leadership; whatever fails, the log is as it was, or a
   part of it is cleaner, which is as good.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from broker.clock import Clock
from broker.log.clean import Order
from broker.log.cleaner_process import CleanerFailed, CleanerProcess, cleaner_process
from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.rewriting import Rewriter
from broker.log.settings import Keeping, Rules
from broker.metadata import commits, compactions
from broker.metadata.compactions import OWN_LEVEL, Held, Swap
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.layout import Piece
from broker.records.batch import batches
from broker.wal.kinds import Say

CHUNK_BYTES = 1024 * 1024
"""Given to the worker at a time."""
REST_S = 600.0
"""After a cleaning that failed, before the same log is tried again."""
PARTLY_S = 60.0
"""After one that ended early, at too many keys or at an open transaction."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A log that is dirty enough."""

    log: Log
    rows: tuple[RangeRow, ...]
    """Everything that may be cleaned, from the log start on."""
    dirty_from: int
    keeping: Keeping


class _Left(Exception):
    """Ranges changed under our hands, or cannot be read: another round will see."""


class Cleaning:
    """All cleaning of one broker; one log at a time."""

    def __init__(
        self,
        *,
        logs: Iterable[Log],
        metadata: Metadata,
        rewriter: Rewriter,
        clock: Clock,
        config: LogsConfig,
        broker_id: int,
        trusted: Callable[[], bool],
        stats: StorageStats,
        say: Say,
    ) -> None:
        self._logs, self._metadata, self._rewriter, self._clock = logs, metadata, rewriter, clock
        self._config, self._id, self._trusted, self._stats, self._say = config, broker_id, trusted, stats, say
        self._not_before: dict[int, float] = {}
        self._unopened: set[int] = set()
        """Partitions whose unopened batches were said."""

    async def clean(self) -> bool:
        """One round over all logs of this broker; False, as nothing is left that would not wait."""
        due = await self._due() if self._trusted() else []
        if due:
            async with cleaner_process() as worker:
                for one in due:
                    await self._guarded(worker, one)
        return False

    async def _guarded(self, worker: CleanerProcess, due: Due) -> None:
        begun = self._clock.monotonic()
        log = due.log
        try:
            async with asyncio.timeout(self._config.clean_timeout_s):
                await self._clean(worker, due)
        except (CleanerFailed, TimeoutError) as error:
            self._stats.cleaning_failures += 1
            self._not_before[log.uid] = self._clock.monotonic() + REST_S
            why = error if isinstance(error, CleanerFailed) else f"not done in {self._config.clean_timeout_s:g} s"
            raise CleanerFailed(f"cleaning {log.topic}-{log.index}: {why}") from error
        except _Left:
            return
        finally:
            self._stats.cleaning_seconds += self._clock.monotonic() - begun
        self._stats.cleanings += 1

    # -- what is due -------------------------------------------------------------------------------------------------

    async def _due(self) -> list[Due]:
        rules, now = Rules(self._metadata.image, self._id, self._config.broker_configs), self._clock.monotonic()
        wanted = {}
        for log in self._logs:
            topic = rules.of(log.topic)
            if topic is None or not topic.by_key or log.closing or log.uid in self._rewriter.halted.uids:
                continue
            if log.committed_end > log.log_start and self._not_before.get(log.uid, 0.0) <= now:
                wanted[log.uid] = (log, topic)
        if not wanted:
            return []
        points = await self._metadata.read(lambda tx: compactions.clean_points(tx, list(wanted)))
        self._stats.dirtiest_ratio = 0.0
        found = []
        for uid, (log, topic) in wanted.items():
            if points.get(uid, 0) >= log.committed_end:
                continue
            rows = await self._metadata.read(lambda tx, uid=uid: commits.ranges(tx, uid))  # type: ignore[misc]
            due = self._judge(log, topic, rows, max(points.get(uid, 0), log.log_start))
            found += [due] if due is not None else []
        return found

    def _judge(self, log: Log, rules: Keeping, rows: Sequence[RangeRow], dirty_from: int) -> Due | None:
        """Kafka's rule: enough of the log is dirty, or something in it has waited for too long."""
        now_ms = self._clock.wall_ms()
        usable: list[RangeRow] = []
        for row in rows:
            if row.end > log.last_stable or (rules.min_lag_ms and row.max_timestamp_ms > now_ms - rules.min_lag_ms):
                break
            usable.append(row)
        dirty = [row for row in usable if row.end > dirty_from]
        dirty_bytes = sum(row.size_bytes for row in dirty)
        if not dirty_bytes:
            return None
        ratio = dirty_bytes / sum(row.size_bytes for row in usable)
        self._stats.dirtiest_ratio = max(self._stats.dirtiest_ratio, ratio)
        waited = dirty[0].max_timestamp_ms < now_ms - rules.max_lag_ms
        if ratio <= rules.min_dirty_ratio and not waited:
            return None
        return Due(log=log, rows=tuple(usable), dirty_from=dirty_from, keeping=rules)

    # -- one log -----------------------------------------------------------------------------------------------------

    async def _clean(self, worker: CleanerProcess, due: Due) -> None:
        up_to = await self._scan(worker, due)
        if up_to < due.rows[-1].end:
            self._not_before[due.log.uid] = self._clock.monotonic() + PARTLY_S
        if up_to <= due.dirty_from:
            return
        run: list[RangeRow] = []
        pieces: list[Piece] = []
        for row in due.rows:
            if row.start >= up_to:
                break
            kept, changed = await self._filter(worker, due.log, row)
            full = sum(len(p.data) for p in pieces + kept) > self._config.compact_object_bytes
            if run and (not changed or full):
                await self._swap(due.log, run, pieces)
                run, pieces = [], []
            if changed:
                run.append(row)
                pieces += kept
        if run:
            await self._swap(due.log, run, pieces)
        now_ms = self._clock.wall_ms()
        await self._metadata.write(lambda tx: compactions.note_clean(tx, due.log.uid, up_to, now_ms))
        due.log.producers.transactions.forget(up_to)
        self._count(due.log, json.loads(await worker.ask(b"T")))

    async def _scan(self, worker: CleanerProcess, due: Due) -> int:
        """Where the worker's knowledge of keys ends."""
        await worker.tell(b"O", json.dumps(asdict(self._order(due))).encode())
        dirty = [row for row in due.rows if row.end > due.dirty_from]
        while True:
            await self._scan_once(worker, due.log, dirty)
            answer = json.loads(await worker.ask(b"E"))
            if not answer["again"]:
                return int(answer["up_to"])

    async def _scan_once(self, worker: CleanerProcess, log: Log, rows: Sequence[RangeRow]) -> None:
        for row in rows:
            async for chunk in self._chunks(log, row):
                if await worker.ask(b"S", chunk) == b"0":
                    return

    async def _filter(self, worker: CleanerProcess, log: Log, row: RangeRow) -> tuple[list[Piece], bool]:
        """What stays of a range, and whether that is anything else than what it was."""
        kept: list[Piece] = []
        changed = False
        async for chunk in self._chunks(log, row):
            answer = await worker.ask(b"F", chunk)
            changed = changed or answer.startswith(b"1")
            if len(answer) > 1:
                kept.append(_piece(memoryview(answer)[1:]))
        return kept, changed

    async def _chunks(self, log: Log, row: RangeRow) -> AsyncIterator[bytes]:
        read = await self._rewriter.read([Held(uid=log.uid, row=row)])
        if (log.uid, row.start) not in read:
            raise _Left
        gathered: list[bytes | bytearray | memoryview] = []
        size = 0
        for piece in read[log.uid, row.start]:
            gathered.append(piece.data)
            size += len(piece.data)
            if size >= CHUNK_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
        if gathered:
            yield b"".join(gathered)

    def _order(self, due: Due) -> Order:
        return Order(
            start=due.log.log_start,
            dirty_from=due.dirty_from,
            end=due.rows[-1].end,
            now_ms=self._clock.wall_ms(),
            delete_retention_ms=due.keeping.delete_retention_ms,
            keys=self._config.clean_keys,
            batch_room_bytes=self._config.clean_batch_bytes,
            round_room_bytes=self._config.clean_round_bytes,
            producers=due.log.producers.last_ends(),
        )

    async def _swap(self, log: Log, run: Sequence[RangeRow], pieces: Sequence[Piece]) -> None:
        old = tuple(run)
        size = sum(len(piece.data) for piece in pieces)
        newest = max((piece.max_timestamp_ms for piece in pieces), default=old[-1].max_timestamp_ms)

        def swaps(object_id: int) -> list[Swap]:
            row = RangeRow(
                start=old[0].start, end=old[-1].end, object_id=object_id, size_bytes=size, max_timestamp_ms=newest
            )
            return [Swap(uid=log.uid, old=old, new=(row,), epoch=log.epoch)]

        if await self._rewriter.publish([(log.uid, pieces)], OWN_LEVEL, swaps):
            raise _Left
        log.rewritten(size - sum(row.size_bytes for row in old), clean_to=old[-1].end)

    def _count(self, log: Log, tally: dict[str, int]) -> None:
        self._stats.cleaned_records += tally["removed"]
        self._stats.cleaned_without_key += tally["without_key"]
        self._stats.compaction_bytes_in += tally["bytes_in"]
        self._stats.unopened_batches += tally["unopened"]
        if tally["unopened"] and log.uid not in self._unopened:
            self._unopened.add(log.uid)
            self._say(
                f"{log.topic}-{log.index}: {tally['unopened']} batches are left as they are by the cleaner: they"
                f" decompress to more than {self._config.clean_batch_bytes} bytes, or not at all"
            )


def _piece(data: memoryview) -> Piece:
    found = list(batches(data))
    return Piece(
        base_offset=found[0].base_offset,
        end_offset=found[-1].next_offset,
        max_timestamp_ms=max(batch.max_timestamp for batch in found),
        data=data,
    )
