"""Which logs this broker has open: what the image gives is opened with what SQL says, what it takes is closed, and a
`target` starts a handover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from uuid import UUID

from broker.clock import Clock
from broker.errors import KafkaError, NotLeaderOrFollower, UnknownTopicOrPartition
from broker.log.config import StorageStats
from broker.log.failover import Failover
from broker.log.log import Log
from broker.log.neighbours import Neighbours
from broker.log.reader import ObjectReader
from broker.log.tail import TailBudget
from broker.log.uploader import Uploader
from broker.metadata import commits
from broker.metadata.image import Image, Partition, Topic
from broker.metadata.store import Metadata
from broker.turns import EVERY, Turns
from broker.wal.base import Wal
from broker.wal.kinds import Say

RETRY_S = 0.5
BATCH = 100
"""Partitions in one handover: they share its objects and its transaction, and its gap."""


class Ownership:
    """`logs` is uid to open log; `follow` keeps it what the image says."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        wal: Wal,
        reader: ObjectReader,
        budget: TailBudget,
        uploader: Uploader,
        failover: Failover,
        neighbours: Neighbours,
        owner: commits.Wal,
        clock: Clock,
        turns: Turns,
        stats: StorageStats,
        say: Say,
    ) -> None:
        self.logs: dict[int, Log] = {}
        self._metadata, self._wal, self._reader, self._budget = metadata, wal, reader, budget
        self._uploader, self._failover, self._owner = uploader, failover, owner
        self._neighbours = neighbours
        self._clock, self._turns, self._stats, self._say = clock, turns, stats, say
        self._due, self._moves_due = asyncio.Event(), asyncio.Event()
        self._applying = asyncio.Lock()
        self._handing: set[int] = set()
        """Uids in a handover under way."""
        self._settled: dict[UUID, Topic | None] = {}
        """Topics whose partitions are open and closed as they say; None for one that has to be looked at."""
        metadata.subscribe(lambda _: self._due.set())

    async def follow(self) -> None:
        """Until cancelled: each new image, as soon as it is there."""
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._patiently("opening partitions", self._due, lambda: self.apply(self._metadata.image))
            self._failover.look(self._metadata.image)
            self._moves_due.set()

    async def hand_over(self) -> None:
        """Until cancelled: what the image sends elsewhere, beside `follow`, because a handover waits for stores."""
        while True:
            await self._moves_due.wait()
            self._moves_due.clear()
            await self._patiently("handing partitions over", self._moves_due, self._hand_over)

    async def _patiently(self, what: str, due: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again later when a store is away; nothing is lost by waiting."""
        try:
            await work()
        except KafkaError as error:
            self._say(f"{what}: {error}; trying again")
            await self._clock.sleep(RETRY_S)
            due.set()

    async def look(self, version: int, uids: Collection[int]) -> tuple[int, list[int]]:
        """Another broker says that the metadata reached `version`; what we see now, and which of `uids` are open."""
        if self._metadata.image.version < version:
            await self._metadata.refresh()
        await self.apply(self._metadata.image)
        return self._metadata.image.version, [uid for uid in uids if uid in self.logs]

    async def apply(self, image: Image) -> None:
        """Closes what is not ours any more and opens what is. What is being handed over is closed by the handover."""
        async with self._applying:
            changed = [topic for topic in image.topics.values() if self._settled.get(topic.id) is not topic]
            await self._close_deleted(image)
            missing: dict[int, Partition] = {}
            unsettled: set[UUID] = set()
            for topic in changed:
                self._settled[topic.id] = None
                await self._compare(topic, image, missing, unsettled)
            if missing:
                await self._open(missing)
                unsettled |= {missing[uid].topic_id for uid in missing.keys() - self.logs.keys()}
            self._settled.update((topic.id, topic) for topic in changed if topic.id not in unsettled)

    async def _close_deleted(self, image: Image) -> None:
        deleted = self._settled.keys() - image.by_id.keys()
        if deleted:
            await self._close_all([log for log in self.logs.values() if log.topic_id in deleted], image)
        for topic_id in deleted:
            del self._settled[topic_id]

    async def _compare(self, topic: Topic, image: Image, missing: dict[int, Partition], unsettled: set[UUID]) -> None:
        """Closes what is not ours any more, and finds what is `missing`; a log in a handover is looked at again."""
        me, _ = self._owner
        for number, at in enumerate(topic.partitions, 1):
            log = self.logs.get(at.uid)
            if log is not None and (at.owner != me or at.epoch != log.epoch):
                if at.uid in self._handing:
                    unsettled.add(topic.id)
                    continue
                self._close(log, image)
                log = None
            if log is None and at.owner == me:
                missing[at.uid] = at
            if number % EVERY == 0:
                await self._turns.rest()

    async def _open(self, missing: dict[int, Partition]) -> None:
        me, epoch = self._owner
        found = await self._metadata.read(lambda tx: commits.openings(tx, me, epoch, list(missing)))
        for number, opening in enumerate(found, 1):
            self.logs[opening.uid] = Log(
                missing[opening.uid], opening, wal=self._wal, reader=self._reader, budget=self._budget
            )
            if number % EVERY == 0:
                await self._turns.rest()

    async def close(self, logs: Iterable[Log]) -> None:
        """Closes these, telling each waiter who leads now as far as the image knows."""
        await self._close_all(logs, self._metadata.image)

    async def _close_all(self, logs: Iterable[Log], image: Image) -> None:
        for number, log in enumerate(logs, 1):
            self._close(log, image)
            if number % EVERY == 0:
                await self._turns.rest()

    def _close(self, log: Log, image: Image) -> None:
        self.logs.pop(log.uid, None)
        partition = image.partition(log.topic_id, log.index)
        log.close(UnknownTopicOrPartition(f"{log.topic} was deleted") if partition is None else not_leader(partition))

    async def _hand_over(self) -> None:
        moving = self._moving(self._metadata.image)
        if not moving:
            return
        if len(moving) > BATCH:
            self._moves_due.set()
        batch = moving[:BATCH]
        begun = self._clock.monotonic()
        self._handing = {log.uid for log in batch}
        try:
            closed = await self._uploader.hand_over(batch)
            gone = [log for log in batch if log.uid in closed]
            await self.give(gone)
        finally:
            self._handing = set()
            self._due.set()
        if not gone:
            await self._clock.sleep(RETRY_S)
        self._stats.moves += len(gone)
        seconds = self._clock.monotonic() - begun
        for _ in gone:
            self._stats.on_operation("move", "ok", seconds)

    def _moving(self, image: Image) -> list[Log]:
        """What has a target that lives, the least to upload first."""
        alive = {broker.id for broker in image.alive()}
        moving = [
            log
            for topic in image.topics.values()
            for p in topic.partitions
            if p.target is not None and p.target[0] in alive and (log := self.logs.get(p.uid)) is not None
        ]
        return sorted(moving, key=lambda log: log.pending_bytes)

    async def give(self, gone: Sequence[Log]) -> None:
        """Closes logs whose ranges are closed, once their new owners were told, and the producers who wait with
        them.
        """
        image = await self._metadata.refresh()
        opened: dict[int, list[int]] = {}
        for number, log in enumerate(gone, 1):
            if (partition := image.partition(log.topic_id, log.index)) is not None:
                opened.setdefault(partition.owner, []).append(log.uid)
            if number % EVERY == 0:
                await self._turns.rest()
        await self._neighbours.tell(image, opened)
        await self.close(gone)


def not_leader(partition: Partition) -> NotLeaderOrFollower:
    """Says who leads, as far as this broker knows (KIP-951)."""
    return NotLeaderOrFollower(
        f"broker {partition.owner} leads {partition.topic}-{partition.index}",
        leader=partition.owner,
        epoch=partition.epoch,
    )
