"""What the APIs of the new group protocol (KIP-848) ask of a coordinator."""

from __future__ import annotations

from broker.errors import GroupIdNotFound, UnknownMemberId, UnsupportedAssignor
from broker.groups.assignors import ASSIGNORS
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.consumer_shapes import BeatAnswer, ConsumerGroupView, Heartbeat
from broker.groups.patterns import compiled
from broker.groups.shard import Entry, Shard
from broker.groups.shards import Shards
from broker.metadata import Metadata


class ConsumerGroups:
    """Heartbeats and descriptions of the groups this broker coordinates."""

    def __init__(self, *, shards: Shards, metadata: Metadata) -> None:
        self._shards, self._metadata = shards, metadata

    async def heartbeat(self, beat: Heartbeat) -> BeatAnswer:
        """Whatever the beat changed is stored before its answer is given."""
        if beat.assignor and beat.assignor not in ASSIGNORS:
            raise UnsupportedAssignor(f"assignor {beat.assignor[:64]}: there are {', '.join(ASSIGNORS)}")
        if beat.regex:
            compiled(beat.regex)
        shard, entry = await self._shards.entry_of(beat.group_id, beat.member_id, beat.epoch, ConsumerGroup)

        def act(group: ConsumerGroup, now: float) -> BeatAnswer:
            return group.heartbeat(beat, self._metadata.image, now, self._shards.limits(beat.group_id))

        return await self._shards.step(shard, entry, act, ConsumerGroup)

    async def leave(self, shard: Shard, entry: Entry, member_id: str, instance_id: str | None) -> str:
        """An administrator takes a member out."""

        def act(group: ConsumerGroup, now: float) -> str:
            return group.leave(member_id, instance_id)

        return await self._shards.step(shard, entry, act, ConsumerGroup)

    async def describe(self, group_id: str) -> ConsumerGroupView:
        """GroupIdNotFound where there is none of this kind."""
        _, entry = await self._shards.entry(group_id)
        if entry is None or not isinstance(entry.group, ConsumerGroup):
            raise GroupIdNotFound(f"group {group_id} is not a consumer group of the new protocol")
        return entry.group.describe()

    async def check_reader(self, group_id: str, member_id: str, epoch: int) -> None:
        """Whether a member may be told offsets: it is one of a group of this kind, at that epoch."""
        _, entry = await self._shards.entry(group_id)
        if entry is None or not isinstance(entry.group, ConsumerGroup):
            raise UnknownMemberId(f"{member_id} is not in group {group_id}")
        entry.group.check_commit(member_id, None, epoch)
