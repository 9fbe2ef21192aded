"""Offsets do not stay for ever: `offsets.retention.minutes`, as Kafka has it since 2.1.

A group without members keeps its offsets that long after it became empty and after they were committed; then they go,
and the group with them. In a group with members those offsets age of which nobody reads the topic any more.
A wall clock that stepped pauses it, as it pauses all retention (law 11).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from uuid import UUID

from broker.clock import Clock
from broker.errors import KafkaError
from broker.groups.shard import Entry, Shard
from broker.groups.shards import Shards
from broker.log.settings import WallWatch
from broker.metadata import Metadata
from broker.metadata import groups as stored_groups


class OffsetRetention:
    """Looks at the groups that this broker coordinates, from time to time."""

    def __init__(self, *, shards: Shards, metadata: Metadata, clock: Clock, retention_s: float, check_s: float) -> None:
        self._shards, self._metadata, self._clock = shards, metadata, clock
        self._retention_ms, self._check_s = int(retention_s * 1000), check_s
        self._watch = WallWatch(clock, lambda _: None)  # housekeeping says it

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(self._check_s)
            with contextlib.suppress(KafkaError):  # the store is away: the next look is soon enough
                await self.look()

    async def look(self) -> None:
        """Forgets what is old enough."""
        if not self._watch.trusted():
            return
        before_ms = self._clock.wall_ms() - self._retention_ms
        for shard in await self._shards.mine():
            found = await self._aged(shard.coordinator.uid, before_ms)
            for group_id in found:
                entry = shard.groups.get(group_id)
                if entry is not None and not shard.closed:
                    await self._expire(shard, entry, group_id, before_ms)

    async def _aged(self, coordinator_uid: int, before_ms: int) -> list[str]:
        return await self._metadata.read(lambda tx: stored_groups.aged(tx, coordinator_uid, before_ms))

    async def _expire(self, shard: Shard, entry: Entry, group_id: str, before_ms: int) -> None:
        async with entry.lock:
            if shard.closed or shard.groups.get(group_id) is not entry:
                return
            group = entry.group
            is_empty = not group.members and not group.pending
            read = group.subscribed()
            if read is None or (is_empty and (entry.emptied_ms or 0) > before_ms):
                return
            kept = self._ids(read)
            left = await self._metadata.write(
                lambda tx: stored_groups.expire(tx, group_id, before_ms, kept, is_empty, shard.coordinator)
            )
            if is_empty and not left:
                shard.groups.pop(group_id, None)

    def _ids(self, names: Collection[str]) -> set[UUID]:
        topics = self._metadata.image.topics
        return {topics[name].id for name in names if name in topics}
