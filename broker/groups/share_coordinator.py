"""What the APIs of share groups (KIP-932) ask of a coordinator: who is in a group, and where it stands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from broker.clock import Clock
from broker.errors import GroupIdNotFound, NonEmptyGroup
from broker.groups.shard import Entry, Shard
from broker.groups.shards import Shards
from broker.groups.share_group import ShareGroup
from broker.groups.share_shapes import ShareBeat, ShareBeatAnswer, ShareGroupView
from broker.metadata import Metadata, shares
from broker.metadata.database import retriable
from broker.metadata.groups import OffsetKey
from broker.metadata.shares import ShareRow


class ShareGroups:
    """Heartbeats, descriptions and starts of the share groups this broker coordinates."""

    def __init__(self, *, shards: Shards, metadata: Metadata, clock: Clock) -> None:
        self._shards, self._metadata, self._clock = shards, metadata, clock

    async def heartbeat(self, beat: ShareBeat) -> ShareBeatAnswer:
        """Whatever the beat changed is stored before its answer is given."""
        shard, entry = await self._shards.entry_of(beat.group_id, beat.member_id, beat.epoch, ShareGroup)

        def act(group: ShareGroup, now: float) -> ShareBeatAnswer:
            return group.heartbeat(beat, self._metadata.image, now, self._shards.limits(beat.group_id).share)

        return await self._shards.step(shard, entry, act, ShareGroup)

    async def describe(self, group_id: str) -> ShareGroupView:
        """GroupIdNotFound where there is none of this kind."""
        _, entry = await self._found(group_id)
        group = entry.group
        assert isinstance(group, ShareGroup)
        return group.describe()

    async def starts(self, group_id: str) -> dict[OffsetKey, ShareRow]:
        """Where the group stands in each partition it has begun."""
        await self._found(group_id)
        async with retriable():
            return await self._metadata.read(lambda tx: shares.rows(tx, group_id))

    async def alter(self, group_id: str, starts: Mapping[OffsetKey, int]) -> None:
        """Gives an empty group other starts. NonEmptyGroup."""
        shard, entry = await self._empty(group_id)
        now_ms = self._clock.wall_ms()
        async with entry.lock:
            self._check_empty(shard, entry)
            async with retriable():
                await self._metadata.write(lambda tx: shares.alter(tx, group_id, starts, shard.coordinator, now_ms))

    async def forget(self, group_id: str, topics: Collection[UUID]) -> None:
        """Takes topics out of an empty group's memory. NonEmptyGroup."""
        shard, entry = await self._empty(group_id)
        gone = [topic.bytes for topic in topics]
        async with entry.lock:
            self._check_empty(shard, entry)
            async with retriable():
                await self._metadata.write(lambda tx: shares.forget(tx, group_id, gone, shard.coordinator))

    async def _found(self, group_id: str) -> tuple[Shard, Entry]:
        shard, entry = await self._shards.entry(group_id)
        if entry is None or not isinstance(entry.group, ShareGroup):
            raise GroupIdNotFound(f"there is no share group {group_id}")
        return shard, entry

    async def _empty(self, group_id: str) -> tuple[Shard, Entry]:
        shard, entry = await self._found(group_id)
        self._check_empty(shard, entry)
        return shard, entry

    def _check_empty(self, shard: Shard, entry: Entry) -> None:
        if shard.groups.get(entry.group.group_id) is not entry:
            raise GroupIdNotFound(f"group {entry.group.group_id} was deleted just now")
        if entry.group.members:
            raise NonEmptyGroup(f"group {entry.group.group_id} has members: stop them first")
