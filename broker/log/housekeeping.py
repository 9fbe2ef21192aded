"""What is done every half minute: retention by the owner of a partition, the sweeper by the controller (law 8).

1. Retention forgets whole ranges, oldest first; an object goes when no range points at it any more.
2. The sweeper deletes uploads whose time is over and objects long unreferenced, always after their rows are marked
   dead; what no row knows goes too (strangers).
3. The sweeper stops when the bucket holds ids above the metadata's own: then this metadata is an older copy, and what
   it does not know may be somebody's data.
4. A wall clock that steps by more than a minute pauses retention for an hour: nothing is deleted on the word of a wrong
   clock (law 11).
"""

from __future__ import annotations

from collections.abc import Iterable

from broker.clock import Clock
from broker.errors import KafkaError
from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.membership import Membership
from broker.log.reader import object_key
from broker.log.settings import Keeping, Rules, WallWatch
from broker.log.strangers import Strangers
from broker.metadata import commits, compactions
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore
from broker.wal.kinds import Say, Wals

LOGS_AT_ONCE = 200
"""Looked at before others get their turn on the loop (law 14)."""


class Housekeeping:
    def __init__(
        self,
        *,
        logs: Iterable[Log],
        metadata: Metadata,
        store: ObjectStore,
        clock: Clock,
        config: LogsConfig,
        owner: commits.Wal,
        membership: Membership,
        wals: Wals,
        watch: WallWatch,
        stats: StorageStats,
        say: Say,
    ) -> None:
        self._logs, self._metadata, self._store, self._clock = logs, metadata, store, clock
        self._config, self._owner, self._membership, self._say = config, owner, membership, say
        self._wals, self._watch, self._stats = wals, watch, stats
        self._rewrites = -1
        """The newest number of a compaction that our logs know of."""
        self._swept_by: int | None = None
        self._may_sweep = True
        self._strangers = self._new_strangers()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(self._config.housekeeping_s)
            for work in (self.look_again, self.retain, self.sweep):
                try:
                    await work()
                except KafkaError as error:
                    self._say(f"housekeeping failed, trying again: {error}")

    def _new_strangers(self) -> Strangers:
        return Strangers(
            metadata=self._metadata,
            store=self._store,
            clock=self._clock,
            patience_s=self._config.prepared_ttl_s,
            say=self._say,
        )

    async def look_again(self) -> None:
        """Tells logs whose ranges were replaced by a compaction to load them again, long before the old objects go."""
        number, uids = await self._metadata.read(lambda tx: compactions.rewritten_since(tx, self._rewrites))
        rewritten = set(uids)
        for log in list(self._logs):
            if log.uid in rewritten:
                log.rewritten()
        self._rewrites = number

    async def retain(self) -> None:
        """Applies retention.ms and retention.bytes to every log of this broker."""
        if not self._watch.trusted():
            return
        rules = Rules(self._metadata.image, self._owner[0], self._config.broker_configs)
        for number, log in enumerate(list(self._logs)):
            if number % LOGS_AT_ONCE == 0:
                await self._clock.sleep(0)
            topic = rules.of(log.topic)
            if topic is not None and topic.by_age and log.committed_end > log.log_start and not log.closing:
                await self._retain(log, topic)

    async def _retain(self, log: Log, rules: Keeping) -> None:
        now_ms = self._clock.wall_ms()
        oldest_ms = now_ms - rules.retention_ms if rules.retention_ms >= 0 else None
        start = expired_before(await log.ranges_at(), log.size_bytes, oldest_ms, rules.retention_bytes)
        if start is not None and start > log.log_start:
            await log.delete_records(start, now_ms=now_ms)

    async def sweep(self) -> None:
        """Deletes what is dead; only the controller does."""
        epoch = self._membership.controller_epoch
        if epoch is None:
            return
        if epoch != self._swept_by:
            self._strangers = self._new_strangers()
            self._swept_by, self._may_sweep = epoch, await self._metadata_is_newest()
        if not self._may_sweep or self._strangers.newer is not None:
            return
        now_ms = self._clock.wall_ms()
        prepared = now_ms - int(self._config.prepared_ttl_s * 1000)
        marked = now_ms - int(self._config.marked_ttl_s * 1000)
        dead = await self._metadata.write(lambda tx: commits.condemn(tx, self._owner[0], epoch, prepared, marked))
        for object_id in dead:
            await self._store.delete(object_key(object_id))
        if dead:
            await self._metadata.write(lambda tx: commits.forget(tx, dead))
        self._stats.swept_objects += len(dead)
        self._stats.unknown_objects += await self._strangers.reconcile(self._config.reconcile_prefixes)
        await self._wals.sweep(broker.wal_url for broker in self._metadata.image.brokers.values())
        await self._count()

    async def _metadata_is_newest(self) -> bool:
        return await self._strangers.check_all()

    async def _count(self) -> None:
        counts = await self._metadata.read(compactions.object_counts)
        stats = self._stats
        stats.live_objects, stats.live_object_bytes = counts.get("committed", (0, 0))
        stats.prepared_objects = counts.get("prepared", (0, 0))[0]
        stats.marked_objects, stats.marked_object_bytes = counts.get("marked", (0, 0))


def expired_before(ranges: list[RangeRow], size_bytes: int, oldest_ms: int | None, keep_bytes: int) -> int | None:
    """The offset before which whole ranges have expired; None when none has."""
    start = None
    for row in ranges:
        too_old = oldest_ms is not None and row.max_timestamp_ms < oldest_ms
        too_much = 0 <= keep_bytes <= size_bytes - row.size_bytes
        if not too_old and not too_much:
            break
        start, size_bytes = row.end, size_bytes - row.size_bytes
    return start
