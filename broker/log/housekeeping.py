"""What is done every half minute: retention by the owner of a partition, the sweeper by the controller (law 8).

1. Retention forgets whole ranges, oldest first; an object goes when no range points at it any more.
2. The sweeper deletes uploads whose time is over and objects long unreferenced, always after their rows are marked
   dead.
3. The sweeper stops when the bucket holds ids above the metadata's own: then this metadata is an older copy, and what
   it does not know may be somebody's data.
4. A wall clock that steps by more than a minute pauses retention for an hour: nothing is deleted on the word of a wrong
   clock (law 11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from broker.clock import Clock
from broker.errors import KafkaError
from broker.log.config import LogsConfig
from broker.log.log import Log
from broker.log.membership import Membership
from broker.log.reader import object_key
from broker.metadata import commits
from broker.metadata.rows import RangeRow
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore
from broker.wal.kinds import Say, Wals

STEP_S = 60.0
PAUSE_S = 3600.0
DEFAULT_RETENTION_MS = 7 * 24 * 3600 * 1000


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
        say: Say,
    ) -> None:
        self._logs, self._metadata, self._store, self._clock = logs, metadata, store, clock
        self._config, self._owner, self._membership, self._say = config, owner, membership, say
        self._wals = wals
        self._wall_offset_s = self._offset_s()
        self._paused_until = 0.0
        self._swept_by: int | None = None
        self._may_sweep = True
        self.live: tuple[int, int] = (0, 0)
        """Live objects and their bytes, as the controller last counted them."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(self._config.housekeeping_s)
            try:
                await self.retain()
                await self.sweep()
            except KafkaError as error:
                self._say(f"housekeeping failed, trying again: {error}")

    def _offset_s(self) -> float:
        return self._clock.wall_ms() / 1000 - self._clock.monotonic()

    def _clock_stepped(self) -> bool:
        now, offset_s = self._clock.monotonic(), self._offset_s()
        if abs(offset_s - self._wall_offset_s) > STEP_S:
            self._say(f"the wall clock stepped by {offset_s - self._wall_offset_s:.0f} s: retention pauses for an hour")
            self._wall_offset_s, self._paused_until = offset_s, now + PAUSE_S
        return now < self._paused_until

    async def retain(self) -> None:
        """Applies retention.ms and retention.bytes to every log of this broker."""
        if self._clock_stepped():
            return
        image = self._metadata.image
        for log in list(self._logs):
            topic = image.topics.get(log.topic)
            if topic is None or topic.internal or log.closing:
                continue
            configs = {**image.broker_configs.get(None, {}), **topic.configs}
            if "delete" in configs.get("cleanup.policy", "delete"):
                await self._retain(log, configs)

    async def _retain(self, log: Log, configs: Mapping[str, str]) -> None:
        keep_ms = _number(configs, "retention.ms", "log.retention.ms", DEFAULT_RETENTION_MS)
        keep_bytes = _number(configs, "retention.bytes", "log.retention.bytes", -1)
        oldest_ms = self._clock.wall_ms() - keep_ms if keep_ms >= 0 else None
        start = expired_before(await log.ranges_at(), log.size_bytes, oldest_ms, keep_bytes)
        if start is not None and start > log.log_start:
            await log.delete_records(start, now_ms=self._clock.wall_ms())

    async def sweep(self) -> None:
        """Deletes what is dead; only the controller does."""
        epoch = self._membership.controller_epoch
        if epoch is None:
            return
        if epoch != self._swept_by:
            self._swept_by, self._may_sweep = epoch, await self._metadata_is_newest()
        if not self._may_sweep:
            return
        now_ms = self._clock.wall_ms()
        prepared = now_ms - int(self._config.prepared_ttl_s * 1000)
        marked = now_ms - int(self._config.marked_ttl_s * 1000)
        dead = await self._metadata.write(lambda tx: commits.condemn(tx, self._owner[0], epoch, prepared, marked))
        for object_id in dead:
            await self._store.delete(object_key(object_id))
        if dead:
            await self._metadata.write(lambda tx: commits.forget(tx, dead))
        await self._wals.sweep(broker.wal_url for broker in self._metadata.image.brokers.values())
        self.live = await self._metadata.read(commits.totals)

    async def _metadata_is_newest(self) -> bool:
        listed = await self._store.list("objects/")
        newest = await self._metadata.read(commits.newest_object)
        above = [key for key, _ in listed if object_id_of(key) > newest]
        if above:
            self._say(
                f"the object store holds {len(above)} objects newer than this metadata (such as {above[0]}): the"
                " metadata was restored from an older copy, so nothing is swept"
            )
        return not above


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


def _number(configs: Mapping[str, str], name: str, broker_name: str, default: int) -> int:
    with suppress(ValueError):
        return int(configs.get(name, configs.get(broker_name, default)))
    return default


def object_id_of(key: str) -> int:
    with suppress(ValueError):
        return int(key.rpartition("/")[2], 16)
    return 0
