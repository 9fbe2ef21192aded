"""`Metadata`: the cluster's truth as the rest of the broker uses it, async and with Kafka's errors.

`image` is the newest picture this process has loaded; each write of this process is in it before the write's await
returns, writes of others within a poll. Everything that must be safe is checked inside the transaction, never against
the image.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from broker.clock import Clock
from broker.errors import UnknownTopicOrPartition
from broker.ids import Entropy, new_uuid, uuid_text
from broker.metadata import groups, moves, picture, shares, topics
from broker.metadata.database import Database, Tx
from broker.metadata.groups import OffsetKey
from broker.metadata.image import EMPTY, Image, Topic
from broker.metadata.rows import Beat, Coordinator, GroupRow, OffsetRow
from broker.metadata.shares import ShareWrite
from broker.metadata.topics import Assignments
from broker.metadata.urls import open_database

Result = TypeVar("Result")
Watcher = Callable[[Image], None]


class Metadata:
    """The facade. Open it with `Metadata.open`; `log/` drives its polling."""

    def __init__(self, url: str, clock: Clock, entropy: Entropy) -> None:
        self._url = url
        self._database: Database = open_database(url, clock)
        self._fence: Database | None = None
        self._clock = clock
        self._entropy = entropy
        self._image = EMPTY
        self._beats: list[Beat] = []
        self._watchers: list[Watcher] = []
        self._refreshing = asyncio.Lock()
        self._nudged = asyncio.Event()

    @classmethod
    async def open(cls, url: str, *, clock: Clock, entropy: Entropy) -> Metadata:
        """Opens (creating it at first) the store at `sqlite:///path/metadata.db` or `postgresql://...`.
        MetadataUnavailable, in one line, when it cannot.
        """
        store = cls(url, clock, entropy)
        try:
            await store._database.start(uuid_text(new_uuid(entropy)))
            await store.refresh()
        except BaseException:
            await store.close()
            raise
        store._database.on_change(store.nudge)
        return store

    async def close(self) -> None:
        if self._fence is not None:
            await self._fence.close()
        await self._database.close()

    # -- the image ---------------------------------------------------------------------------------------------------

    @property
    def image(self) -> Image:
        return self._image

    @property
    def beats(self) -> list[Beat]:
        """Heartbeat counters as of the last refresh."""
        return self._beats

    async def refresh(self) -> Image:
        """Loads what changed since the last time and tells the watchers when something did."""
        async with self._refreshing:
            old = self._image
            self._image, self._beats = await self._database.read(lambda tx: picture.load(tx, old))
        if self._image is not old:
            for watcher in list(self._watchers):
                watcher(self._image)
        return self._image

    def nudge(self) -> None:
        """Says that somebody else may have changed something: the poll need not wait any longer."""
        self._nudged.set()

    async def nudged(self, wait_s: float) -> None:
        """Returns after a nudge, and after `wait_s` without one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._nudged.wait()
        self._nudged.clear()

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Calls `watcher` with each new image, on the event loop; the returned function ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def until(self, holds: Callable[[Image], bool]) -> Image:
        """The first image, this one or a later one, for which it holds."""
        changed = asyncio.Event()
        forget = self.subscribe(lambda _: changed.set())
        try:
            while not holds(self._image):
                await changed.wait()
                changed.clear()
        finally:
            forget()
        return self._image

    async def write(self, work: Callable[[Tx], Result]) -> Result:
        """One durable transaction, without a refresh: for what the image does not show."""
        return await self._database.write(work)

    async def change(self, work: Callable[[Tx], Result]) -> Result:
        """One durable transaction, and the image that shows it."""
        result = await self._database.write(work)
        await self.refresh()
        return result

    async def read(self, work: Callable[[Tx], Result]) -> Result:
        """One consistent snapshot."""
        return await self._database.read(work)

    async def read_for_fence(self, work: Callable[[Tx], Result]) -> Result:
        """One consistent snapshot that begins after the call, on a connection that nothing else uses: acknowledgements
        wait for it, and they are not to wait for the poll of a large image.
        """
        if self._fence is None:
            self._fence = open_database(self._url, self._clock)
        return await self._fence.read(work)

    async def read_apart(self, work: Callable[[Tx], Result]) -> Result:
        """One consistent snapshot on a connection of its own: for what takes seconds, lest the poll wait for it."""
        database = open_database(self._url, self._clock)
        try:
            return await database.read(work)
        finally:
            await database.close()

    # -- topics ------------------------------------------------------------------------------------------------------

    async def create_topic(
        self,
        name: str,
        *,
        partitions: int,
        replication_factor: int = 1,
        assignments: Assignments | None = None,
        configs: Mapping[str, str] | None = None,
    ) -> Topic:
        await self.change(
            lambda tx: topics.create_topic(
                tx, self._entropy, name, partitions, replication_factor, assignments, configs or {}
            )
        )
        return self._topic(name)

    async def delete_topic(self, name_or_id: str | UUID) -> None:
        now_ms = self._clock.wall_ms()
        await self.change(lambda tx: topics.delete_topic(tx, name_or_id, now_ms))

    async def add_partitions(self, name: str, total: int, assignments: Assignments | None = None) -> Topic:
        await self.change(lambda tx: topics.add_partitions(tx, self._entropy, name, total, assignments))
        return self._topic(name)

    async def alter_configs(self, kind: str, name: str, put: Mapping[str, str], delete: Collection[str] = ()) -> None:
        """`kind` is topic, broker, or one of resource_configs; a broker's name is its id, and empty for them all."""
        await self.change(lambda tx: topics.alter_configs(tx, kind, name, put, delete))

    async def reassign(self, topic: str, index: int, replicas: Sequence[int] | None) -> None:
        """Starts a move to replicas[0]; None cancels one."""
        refused = await self.change(lambda tx: moves.aim(tx, {(topic, index): replicas}))
        if refused:
            raise refused[topic, index]

    async def cordon(self, broker: int, on: bool) -> None:
        await self.change(lambda tx: topics.cordon(tx, broker, on))

    def _topic(self, name: str) -> Topic:
        topic = self._image.topics.get(name)
        if topic is None:
            raise UnknownTopicOrPartition(f"topic {name} was deleted by somebody else just now")
        return topic

    # -- producers, groups and offsets -------------------------------------------------------------------------------

    async def allocate_producer_ids(self, n: int) -> int:
        """The first of `n` producer ids that nobody else ever gets."""

        def work(tx: Tx) -> int:
            (after,) = tx.one(
                "UPDATE cluster SET next_producer_id = next_producer_id + ? RETURNING next_producer_id", n
            )
            return int(after) - n

        return await self.write(work)

    async def commit_offsets(
        self, group_id: str, rows: Mapping[OffsetKey, OffsetRow], coordinator: Coordinator
    ) -> None:
        await self._database.write_together(groups.commit_offsets, (group_id, rows, coordinator))

    async def fetch_offsets(self, group_id: str) -> dict[OffsetKey, OffsetRow]:
        return await self.read(lambda tx: groups.fetch_offsets(tx, group_id))

    async def delete_offsets(self, group_id: str, keys: Collection[OffsetKey], coordinator: Coordinator) -> None:
        await self.write(lambda tx: groups.delete_offsets(tx, group_id, keys, coordinator))

    async def save_group(self, row: GroupRow, coordinator: Coordinator) -> None:
        await self.write(lambda tx: groups.save_group(tx, row, coordinator))

    async def delete_group(self, group_id: str, coordinator: Coordinator) -> None:
        """The group and its offsets."""
        await self.write(lambda tx: groups.delete_group(tx, group_id, coordinator))

    async def groups(self, coordinator_uid: int) -> list[GroupRow]:
        """Groups whose coordinator is that partition of `__consumer_offsets`."""
        return await self.read(lambda tx: groups.groups(tx, coordinator_uid))

    async def offset_groups(self) -> list[str]:
        """Groups with committed offsets, with or without state."""
        return await self.read(groups.offset_groups)

    async def save_share(self, write: ShareWrite) -> None:
        """What a leader says a share group did with a partition. NotLeaderOrFollower, FencedStateEpoch."""
        await self._database.write_together(shares.save, write)
