"""The shards this broker holds: loading them, stepping their groups, storing before answering, and giving them up.

1. A step of a group is stored before any of its answers leaves, and every write is conditional on the partition's
   (owner, epoch): a coordinator that lost its partition cannot write, hence cannot answer.
2. When a write fails, memory ran ahead of the store: the whole shard is forgotten and loaded again on the next request.
3. Sessions are timed by this process's monotonic clock; the time in which it was stopped counts for nobody (law 11).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from broker.clock import Clock
from broker.errors import (
    CoordinatorLoadInProgress,
    CoordinatorNotAvailable,
    GroupIdNotFound,
    InconsistentGroupProtocol,
    InvalidGroupId,
    KafkaError,
    NotCoordinator,
    TopicAlreadyExists,
    UnknownMemberId,
)
from broker.groups import kinds
from broker.groups.consumer_group import ConsumerGroup
from broker.groups.group import Group
from broker.groups.kinds import AnyGroup
from broker.groups.settings import GroupSettings
from broker.groups.shapes import Answer, JoinAnswer, SyncAnswer
from broker.groups.shard import Entry, Shard
from broker.groups.share_group import ShareGroup
from broker.metadata import Metadata
from broker.metadata.database import retriable
from broker.metadata.image import CONSUMER_OFFSETS, Image, Partition
from broker.metadata.placement import home_in
from broker.metadata.rows import Coordinator
from broker.metadata.topics import OFFSETS_PARTITIONS
from broker.resource_configs import GROUP

T = TypeVar("T")
_TICK_S = 0.1
_STALL_S = 1.0
"""A gap between ticks over this means that the process was stopped or starved."""


class Shards:
    """Groups in memory, by the partition they live on."""

    def __init__(self, *, metadata: Metadata, clock: Clock, broker_id: int, settings: GroupSettings) -> None:
        self._metadata = metadata
        self._clock = clock
        self._broker_id = broker_id
        self._settings = settings
        self._shards: dict[int, Shard] = {}
        self._stopped = False
        self._loading: dict[int, asyncio.Lock] = {}
        self._parked: dict[int, asyncio.Future[JoinAnswer | SyncAnswer]] = {}
        self._tickets = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Follows the metadata and the clock."""
        self._metadata.subscribe(self._on_image)
        self._spawn(self._run_ticks())

    def run_beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that goes on until the shards are stopped."""
        self._spawn(work)

    async def stop(self) -> None:
        """Sends everyone who is parked, and everyone who comes now, to the next coordinator."""
        self._stopped = True
        for shard in list(self._shards.values()):
            self._drop(shard)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def make_home(self) -> None:
        """Creates the internal topic when the first group asks, as Kafka does: by then all brokers are there."""
        if CONSUMER_OFFSETS not in self._metadata.image.topics:
            try:
                await self._metadata.create_topic(CONSUMER_OFFSETS, partitions=OFFSETS_PARTITIONS)
            except TopicAlreadyExists:
                await self._metadata.refresh()

    def home_of(self, group_id: str) -> Partition:
        """The partition whose owner coordinates the group; CoordinatorNotAvailable while nobody owns it."""
        if not group_id:
            raise InvalidGroupId("a group id must not be empty")
        return home_in(self._metadata.image, CONSUMER_OFFSETS, group_id)

    def limits(self, group_id: str) -> GroupSettings:
        """The settings of one group."""
        return self._settings.of_group(self._metadata.image.resource_configs.get((GROUP, group_id), {}))

    async def shard(self, group_id: str) -> Shard:
        """The shard the group lives on, loaded; NotCoordinator where another broker owns it."""
        home = self.home_of(group_id)
        if home.owner != self._broker_id or self._stopped:
            raise NotCoordinator(f"group {group_id} is coordinated by broker {home.owner}: ask FindCoordinator")
        return await self._load(home)

    async def entry(self, group_id: str) -> tuple[Shard, Entry | None]:
        """The group in memory, if there is one."""
        shard = await self.shard(group_id)
        return shard, shard.groups.get(group_id)

    async def entry_or_new(self, group_id: str) -> tuple[Shard, Entry]:
        """The group in memory; an empty one, not yet stored, where there was none."""
        shard = await self.shard(group_id)
        entry = shard.groups.get(group_id)
        if entry is None:
            entry = Entry(group=Group(group_id, initial_delay_s=self._settings.initial_delay_s), stored=False)
            shard.groups[group_id] = entry
        return shard, entry

    async def entry_of(
        self, group_id: str, member_id: str, epoch: int, kind: type[ConsumerGroup] | type[ShareGroup]
    ) -> tuple[Shard, Entry]:
        """The group that a member's heartbeat is for; a new one, or an empty one made over, for a member that joins.
        UnknownMemberId, and GroupIdNotFound where the name is another kind's.
        """
        if epoch != 0:
            shard, found = await self.entry(group_id)
            if found is None or not isinstance(found.group, kind):
                raise UnknownMemberId(f"{member_id} is not in group {group_id}: join it again")
            return shard, found
        shard, entry = await self.entry_or_new(group_id)
        try:
            await self.convert(shard, entry, kind)
        except InconsistentGroupProtocol as error:
            raise GroupIdNotFound(error.message) from error
        return shard, entry

    async def mine(self) -> list[Shard]:
        """Every shard this broker owns, loaded."""
        topic = self._metadata.image.topics.get(CONSUMER_OFFSETS)
        homes = [home for home in topic.partitions if home.owner == self._broker_id] if topic is not None else []
        return [await self._load(home) for home in homes]

    async def step(self, shard: Shard, entry: Entry, act: Callable[[Any, float], T], kind: type[AnyGroup] = Group) -> T:
        """One step of a group of that kind, in a task of its own: a client that hangs up must not leave a step half
        stored.
        """
        return await asyncio.shield(self._spawn(self._locked_step(shard, entry, act, kind)))

    async def convert(self, shard: Shard, entry: Entry, kind: type[AnyGroup]) -> None:
        """Makes an empty group one of the other kind; its offsets stay. What it is now is stored with its first member.
        InconsistentGroupProtocol while it has members, and for a share group as long as there is one: what it has done
        is no offsets.
        """
        async with entry.lock:
            self.check_current(shard, entry)
            if isinstance(entry.group, kind):
                return
            if entry.group.members or entry.group.pending:
                raise InconsistentGroupProtocol(
                    f"group {entry.group.group_id} has members of the other protocol: stop them first"
                )
            if entry.stored and ShareGroup in (kind, type(entry.group)):
                raise InconsistentGroupProtocol(
                    f"group {entry.group.group_id} is {'not ' if kind is ShareGroup else ''}a share group: take another"
                    " name, or delete it first"
                )
            entry.group = self._new(entry.group.group_id, kind)

    def _new(self, group_id: str, kind: type[AnyGroup]) -> AnyGroup:
        if kind is ConsumerGroup:
            return ConsumerGroup(group_id)
        if kind is ShareGroup:
            return ShareGroup(group_id)
        return Group(group_id, initial_delay_s=self._settings.initial_delay_s)

    async def glance(
        self, shard: Shard, entry: Entry, act: Callable[[Any, float], None], kind: type[AnyGroup] = Group
    ) -> None:
        """A step that leaves what is stored as it is, such as a heartbeat or a commit's check: at once where nobody is
        under way. It may put off what is due, and needs no look at every member for that: `due` is then early.
        """
        if not entry.stored or entry.lock.locked():
            await self.step(shard, entry, act, kind)
            return
        self.check_current(shard, entry)
        _check_kind(entry, kind)
        try:
            act(entry.group, self._clock.monotonic())
        finally:
            if entry.group.has_effects:
                await self.step(shard, entry, lambda group, now: None, kind)

    async def park(self, shard: Shard, entry: Entry, act: Callable[[Any, float, int], None]) -> JoinAnswer | SyncAnswer:
        """One step that may leave its sender waiting for later ones."""
        ticket = next(self._tickets)
        answer: asyncio.Future[JoinAnswer | SyncAnswer] = asyncio.get_running_loop().create_future()
        self._parked[ticket] = answer
        try:
            await self.step(shard, entry, lambda group, now: act(group, now, ticket))
            return await answer
        finally:
            self._parked.pop(ticket, None)

    async def _locked_step(self, shard: Shard, entry: Entry, act: Callable[[Any, float], T], kind: type[AnyGroup]) -> T:
        async with entry.lock:
            self.check_current(shard, entry)
            _check_kind(entry, kind)
            try:
                return act(entry.group, self._clock.monotonic())
            finally:
                await self._settle(shard, entry)

    def check_current(self, shard: Shard, entry: Entry) -> None:
        """For who waited for the entry's lock: it may have gone meanwhile. A retriable error then."""
        if shard.closed:
            raise NotCoordinator(f"group {entry.group.group_id} has another coordinator: ask FindCoordinator")
        if shard.groups.get(entry.group.group_id) is not entry:
            raise CoordinatorLoadInProgress(f"group {entry.group.group_id} was forgotten just now: ask again")

    async def _settle(self, shard: Shard, entry: Entry) -> None:
        """Law 1: store, then answer."""
        effects = entry.group.take()
        entry.reschedule()
        if effects.store:
            try:
                await self._store(shard, entry)
            except Exception as error:
                refusal = error if isinstance(error, KafkaError) else CoordinatorNotAvailable(str(error))
                self._resolve([Answer(ticket=answer.ticket, result=refusal) for answer in effects.answers])
                self._drop(shard)
                raise refusal from error
        self._resolve(effects.answers)
        if not entry.stored and not entry.group.members and not entry.group.pending:
            shard.groups.pop(entry.group.group_id, None)

    async def _store(self, shard: Shard, entry: Entry) -> None:
        if entry.group.members:
            entry.emptied_ms = None
        elif entry.emptied_ms is None:
            entry.emptied_ms = self._clock.wall_ms()
        row = kinds.dump(entry.group, shard.coordinator.uid, entry.emptied_ms)
        async with retriable():
            await self._metadata.save_group(row, coordinator=shard.coordinator)
        entry.stored = True

    def _resolve(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            waiting = self._parked.pop(answer.ticket, None)
            if waiting is None or waiting.done():
                continue
            if isinstance(answer.result, KafkaError):
                waiting.set_exception(answer.result)
            else:
                waiting.set_result(answer.result)

    async def _load(self, home: Partition) -> Shard:
        """The shard of this leader epoch, from the store unless it is here."""
        shard = self._shards.get(home.uid)
        if shard is not None and shard.coordinator.epoch == home.epoch:
            return shard
        async with self._loading.setdefault(home.uid, asyncio.Lock()):
            shard = self._shards.get(home.uid)
            if shard is not None and shard.coordinator.epoch >= home.epoch:
                return shard
            async with retriable():
                rows = await self._metadata.groups(home.uid)
            now = self._clock.monotonic()
            groups = {}
            for row in rows:
                group, emptied_ms = kinds.load(row, self.limits(row.group_id), now)
                groups[row.group_id] = Entry(group=group, stored=True, emptied_ms=emptied_ms)
                groups[row.group_id].reschedule()
            coordinator = Coordinator(uid=home.uid, owner=home.owner, epoch=home.epoch)
            self._shards[home.uid] = Shard(coordinator=coordinator, groups=groups)
            return self._shards[home.uid]

    def _on_image(self, image: Image) -> None:
        """Gives up the shards whose partition has moved, or has been taken back under a new epoch."""
        topic = image.topics.get(CONSUMER_OFFSETS)
        homes = {home.uid: (home.owner, home.epoch) for home in topic.partitions} if topic is not None else {}
        for shard in list(self._shards.values()):
            held = shard.coordinator
            if homes.get(held.uid) != (held.owner, held.epoch):
                self._drop(shard)

    def _drop(self, shard: Shard) -> None:
        """Forgets a shard; whoever is parked there is sent to ask who coordinates now."""
        shard.closed = True
        if self._shards.get(shard.coordinator.uid) is shard:
            del self._shards[shard.coordinator.uid]
        for entry in shard.groups.values():
            kinds.abandon(entry.group, NotCoordinator("the group has moved: ask FindCoordinator"))
            self._resolve(entry.group.take().answers)

    async def _run_ticks(self) -> None:
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(_TICK_S)
            now = self._clock.monotonic()
            if now - before > _STALL_S:
                self._postpone(now - before)
            before = now
            for shard in list(self._shards.values()):
                for entry in list(shard.groups.values()):
                    if entry.due is not None and entry.due <= now:
                        await self._tick(shard, entry)

    async def _tick(self, shard: Shard, entry: Entry) -> None:
        """Time passes for one group. A store that is away only means that its shard is loaded again later."""
        with contextlib.suppress(KafkaError):
            await self.step(shard, entry, kinds.tick, type(entry.group))

    def _postpone(self, seconds: float) -> None:
        for shard in self._shards.values():
            for entry in shard.groups.values():
                kinds.postpone(entry.group, seconds)
                entry.reschedule()

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _check_kind(entry: Entry, kind: type[AnyGroup]) -> None:
    """A group may have become one of the other kind while its request waited."""
    if not isinstance(entry.group, kind):
        raise CoordinatorLoadInProgress(f"group {entry.group.group_id} changed its protocol just now: ask again")
