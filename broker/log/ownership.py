"""Which logs this broker has open: what the image gives is opened with what SQL says, what it takes is closed, and a
`target` starts a handover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

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
from broker.metadata.image import Image, Partition
from broker.metadata.store import Metadata
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
        stats: StorageStats,
        say: Say,
    ) -> None:
        self.logs: dict[int, Log] = {}
        self._metadata, self._wal, self._reader, self._budget = metadata, wal, reader, budget
        self._uploader, self._failover, self._owner = uploader, failover, owner
        self._neighbours = neighbours
        self._clock, self._stats, self._say = clock, stats, say
        self._due, self._moves_due = asyncio.Event(), asyncio.Event()
        self._applying = asyncio.Lock()
        self._handing: set[int] = set()
        """Uids in a handover under way."""
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
            me, epoch = self._owner
            mine = {p.uid: p for topic in image.topics.values() for p in topic.partitions if p.owner == me}
            for log in list(self.logs.values()):
                if log.uid not in self._handing and ((at := mine.get(log.uid)) is None or at.epoch != log.epoch):
                    self._close(log, image)
            missing = [uid for uid in mine if uid not in self.logs]
            if not missing:
                return
            found = await self._metadata.read(lambda tx: commits.openings(tx, me, epoch, missing))
            for opening in found:
                self.logs[opening.uid] = Log(
                    mine[opening.uid], opening, wal=self._wal, reader=self._reader, budget=self._budget
                )

    def close(self, logs: Iterable[Log]) -> None:
        """Closes these, telling each waiter who leads now as far as the image knows."""
        for log in logs:
            self._close(log, self._metadata.image)

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
        moving = [
            log
            for log in self.logs.values()
            if (p := image.partition(log.topic_id, log.index)) is not None
            and p.target is not None
            and (to := image.brokers.get(p.target[0])) is not None
            and to.alive
        ]
        return sorted(moving, key=lambda log: log.pending_bytes)

    async def give(self, gone: Sequence[Log]) -> None:
        """Closes logs whose ranges are closed, once their new owners were told, and the producers who wait with
        them.
        """
        image = await self._metadata.refresh()
        opened: dict[int, list[int]] = {}
        for log in gone:
            if (partition := image.partition(log.topic_id, log.index)) is not None:
                opened.setdefault(partition.owner, []).append(log.uid)
        await self._neighbours.tell(image, opened)
        self.close(gone)


def not_leader(partition: Partition) -> NotLeaderOrFollower:
    """Says who leads, as far as this broker knows (KIP-951)."""
    return NotLeaderOrFollower(
        f"broker {partition.owner} leads {partition.topic}-{partition.index}",
        leader=partition.owner,
        epoch=partition.epoch,
    )
