"""What the group APIs ask of a coordinator, whatever the version on the wire."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from broker.clock import Clock
from broker.errors import GroupIdNotFound, InvalidSessionTimeout, NonEmptyGroup, UnknownMemberId
from broker.groups import membership
from broker.groups.consumer_coordinator import ConsumerGroups
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.group import Group
from broker.groups.kinds import AnyGroup
from broker.groups.retention import OffsetRetention
from broker.groups.settings import GroupSettings
from broker.groups.shapes import CommitRequest, GroupView, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest
from broker.groups.shard import Entry, Shard
from broker.groups.shards import Shards
from broker.groups.share_coordinator import ShareGroups
from broker.groups.share_group import ShareGroup
from broker.groups.share_settings import ShareSettings
from broker.groups.state import GroupState
from broker.metadata import Metadata
from broker.metadata.database import retriable
from broker.metadata.image import Partition
from broker.metadata.rows import Coordinator, OffsetRow

OffsetKey = tuple[UUID, int]
"""A partition by the identity that outlives its topic's name (law 10)."""


class GroupCoordinator:
    """Joins, syncs, heartbeats, leaves, offsets of the groups this broker coordinates. One per broker."""

    def __init__(
        self, *, metadata: Metadata, clock: Clock, broker_id: int, settings: GroupSettings, new_id: Callable[[], str]
    ) -> None:
        self.settings = settings
        self._metadata = metadata
        self._new_id = new_id
        self._shards = Shards(metadata=metadata, clock=clock, broker_id=broker_id, settings=settings)
        self.consumers = ConsumerGroups(shards=self._shards, metadata=metadata)
        """Groups of the new protocol (KIP-848)."""
        self.shares = ShareGroups(shards=self._shards, metadata=metadata, clock=clock)
        """Share groups (KIP-932)."""
        self.retention = OffsetRetention(
            shards=self._shards,
            metadata=metadata,
            clock=clock,
            retention_s=settings.retention_s,
            check_s=settings.retention_check_s,
        )

    async def start(self) -> None:
        """Begins to watch sessions and ownership."""
        await self._shards.start()
        self._shards.run_beside(self.retention.run())

    async def stop(self) -> None:
        """Sends everyone who is parked to the next coordinator."""
        await self._shards.stop()

    async def make_home(self) -> None:
        """Makes sure that groups have partitions to live on."""
        async with retriable():
            await self._shards.make_home()

    def home_of(self, group_id: str) -> Partition:
        """The partition whose owner coordinates the group; CoordinatorNotAvailable while nobody owns it."""
        return self._shards.home_of(group_id)

    def share_limits(self, group_id: str) -> ShareSettings:
        """What holds for one share group now."""
        return self._shards.limits(group_id).share

    async def join(self, request: JoinRequest) -> JoinAnswer:
        """Parks until the group's next generation begins."""
        lowest, highest = self.settings.min_session_s, self.settings.max_session_s
        if not lowest <= request.session_timeout_s <= highest:
            raise InvalidSessionTimeout(f"{request.session_timeout_s:g} s is outside {lowest:g} to {highest:g} s")
        if request.member_id:
            shard, entry = await self._member_entry(request.group_id, request.member_id)
        else:
            shard, entry = await self._shards.entry_or_new(request.group_id)
            await self._shards.convert(shard, entry, Group)
        fresh_id = f"{request.instance_id or request.client_id}-{self._new_id()}"
        size = self.settings.max_size

        def act(group: Group, now: float, ticket: int) -> None:
            membership.join(group, request, ticket, now, new_id=fresh_id, max_size=size)

        answer = await self._shards.park(shard, entry, act)
        if not isinstance(answer, JoinAnswer):
            raise TypeError("a join was answered with a sync")
        return answer

    async def sync(self, request: SyncRequest) -> SyncAnswer:
        """Parks until the leader has brought the assignment."""
        shard, entry = await self._member_entry(request.group_id, request.member_id)
        answer = await self._shards.park(shard, entry, lambda group, now, ticket: group.sync(request, ticket, now))
        if not isinstance(answer, SyncAnswer):
            raise TypeError("a sync was answered with a join")
        return answer

    async def heartbeat(self, group_id: str, member_id: str, instance_id: str | None, generation: int) -> None:
        """A sign of life, or the error that tells the member what to do."""
        shard, entry = await self._member_entry(group_id, member_id)
        await self._shards.glance(
            shard, entry, lambda group, now: group.heartbeat(member_id, instance_id, generation, now)
        )

    async def leave(self, group_id: str, member_id: str, instance_id: str | None) -> str:
        """A member goes; its id is returned."""
        shard, entry = await self._member_entry(group_id, member_id, classic=False)
        if isinstance(entry.group, ShareGroup):
            raise UnknownMemberId(f"group {group_id} is a share group: its members leave by themselves")
        if isinstance(entry.group, ConsumerGroup):
            return await self.consumers.leave(shard, entry, member_id, instance_id)
        return await self._shards.step(
            shard, entry, lambda group, now: membership.leave(group, member_id, instance_id, now)
        )

    async def commit(self, request: CommitRequest, offsets: Mapping[OffsetKey, OffsetRow]) -> None:
        """Makes offsets durable. A group that nobody joined may be written by anyone who gives no generation."""
        coordinator = await self.admit(request)
        if offsets:
            async with retriable():
                await self._metadata.commit_offsets(request.group_id, offsets, coordinator=coordinator)

    async def admit(self, request: CommitRequest, *, in_transaction: bool = False) -> Coordinator:
        """Whether this member may commit now; what its offsets are conditional on. In a transaction, who says nothing
        of a membership is not asked for one: older producers cannot.
        """
        if request.generation >= 0 or request.member_id:
            shard, entry = await self._member_entry(request.group_id, request.member_id, classic=False)
        else:
            shard, entry = await self._shards.entry_or_new(request.group_id)

        nameless = in_transaction and request.generation < 0 and not request.member_id and request.instance_id is None

        def check(group: AnyGroup, now: float) -> None:
            if nameless:
                pass
            elif isinstance(group, ShareGroup):
                raise GroupIdNotFound(f"group {request.group_id} is a share group: it has no offsets to commit")
            elif isinstance(group, ConsumerGroup):
                group.check_commit(request.member_id, request.instance_id, request.generation)
            else:
                group.check_commit(request.member_id, request.instance_id, request.generation, now)
            if not entry.stored:
                group.must_store()

        await self._shards.glance(shard, entry, check, type(entry.group))
        return shard.coordinator

    async def offsets(self, group_id: str) -> Mapping[OffsetKey, OffsetRow]:
        """Everything the group has committed; nothing for a group that does not exist."""
        await self._shards.shard(group_id)
        async with retriable():
            return await self._metadata.fetch_offsets(group_id)

    async def delete_offsets(self, group_id: str, keys: Collection[OffsetKey]) -> set[OffsetKey]:
        """Forgets what was committed of these partitions; those are left and given back that a member reads."""
        shard, entry = await self._shards.entry(group_id)
        if entry is None:
            raise GroupIdNotFound(f"group {group_id} does not exist")
        read = entry.group.subscribed()
        if read is None:
            raise NonEmptyGroup(f"group {group_id} has members that are no consumers: stop them first")
        topics = {topic.id for name in read if (topic := self._metadata.image.topic(name)) is not None}
        kept = {key for key in keys if key[0] in topics}
        gone = [key for key in keys if key not in kept]
        if gone:
            async with retriable():
                await self._metadata.delete_offsets(group_id, gone, coordinator=shard.coordinator)
        return kept

    async def describe(self, group_id: str) -> GroupView:
        """The group as it is now; GroupIdNotFound where there is none."""
        _, entry = await self._shards.entry(group_id)
        if entry is None:
            raise GroupIdNotFound(f"group {group_id} does not exist")
        if isinstance(entry.group, ConsumerGroup):
            raise GroupIdNotFound(f"group {group_id} is not a classic group: ask ConsumerGroupDescribe")
        if isinstance(entry.group, ShareGroup):
            raise GroupIdNotFound(f"group {group_id} is not a classic group: ask ShareGroupDescribe")
        return entry.group.view()

    async def groups(self) -> list[GroupView]:
        """Every group this broker coordinates."""
        shards = await self._shards.mine()
        return [entry.group.view() for shard in shards for entry in shard.groups.values() if entry.stored]

    async def delete(self, group_id: str) -> None:
        """Forgets an empty group and its offsets."""
        shard, entry = await self._shards.entry(group_id)
        if entry is None:
            raise GroupIdNotFound(f"group {group_id} does not exist")
        async with entry.lock:
            self._shards.check_current(shard, entry)
            if entry.group.members or entry.group.pending:
                raise NonEmptyGroup(f"group {group_id} has members: stop them first")
            async with retriable():
                await self._metadata.delete_group(group_id, coordinator=shard.coordinator)
            if isinstance(entry.group, Group):
                entry.group.go(GroupState.DEAD)
            shard.groups.pop(group_id, None)

    async def _member_entry(self, group_id: str, member_id: str, *, classic: bool = True) -> tuple[Shard, Entry]:
        shard, entry = await self._shards.entry(group_id)
        if entry is None or (classic and not isinstance(entry.group, Group)):
            raise UnknownMemberId(f"{member_id or 'a member without id'} is not in group {group_id}")
        return shard, entry
