"""Which logs this broker has open: what the image gives is opened with what SQL says, what it takes is closed, and a
`target` starts a handover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from broker.clock import Clock
from broker.errors import KafkaError, NotLeaderOrFollower, UnknownTopicOrPartition
from broker.log.config import StorageStats
from broker.log.failover import Failover
from broker.log.log import Log
from broker.log.reader import ObjectReader
from broker.log.tail import TailBudget
from broker.log.uploader import Uploader
from broker.metadata import commits
from broker.metadata.image import Image, Partition
from broker.metadata.store import Metadata
from broker.wal.base import Wal
from broker.wal.kinds import Say

RETRY_S = 0.5


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
        owner: commits.Wal,
        clock: Clock,
        stats: StorageStats,
        say: Say,
    ) -> None:
        self.logs: dict[int, Log] = {}
        self._metadata, self._wal, self._reader, self._budget = metadata, wal, reader, budget
        self._uploader, self._failover, self._owner = uploader, failover, owner
        self._clock, self._stats, self._say = clock, stats, say
        self._due = asyncio.Event()
        metadata.subscribe(lambda _: self._due.set())

    async def follow(self) -> None:
        """Until cancelled: each new image, as soon as it is there."""
        self._due.set()
        while True:
            await self._due.wait()
            self._due.clear()
            await self._patiently("opening partitions", lambda: self.apply(self._metadata.image))
            self._failover.look(self._metadata.image)
            await self._patiently("handing partitions over", lambda: self._hand_over(self._metadata.image))

    async def _patiently(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again later when a store is away; nothing is lost by waiting."""
        try:
            await work()
        except KafkaError as error:
            self._say(f"{what}: {error}; trying again")
            await self._clock.sleep(RETRY_S)
            self._due.set()

    async def apply(self, image: Image) -> None:
        """Closes what is not ours any more and opens what is."""
        me, epoch = self._owner
        mine = {p.uid: p for topic in image.topics.values() for p in topic.partitions if p.owner == me}
        for log in list(self.logs.values()):
            if (partition := mine.get(log.uid)) is None or partition.epoch != log.epoch:
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

    async def _hand_over(self, image: Image) -> None:
        moving = [
            log
            for log in self.logs.values()
            if (p := image.partition(log.topic_id, log.index)) is not None
            and p.target is not None
            and (to := image.brokers.get(p.target[0])) is not None
            and to.alive
        ]
        if not moving:
            return
        begun = self._clock.monotonic()
        moved = await self._uploader.hand_over(moving)
        await self._metadata.refresh()
        self.close([log for log in moving if log.uid in moved])
        self._stats.moves += len(moved)
        self._stats.on_operation("move", "ok", self._clock.monotonic() - begun)


def not_leader(partition: Partition) -> NotLeaderOrFollower:
    """Says who leads, as far as this broker knows (KIP-951)."""
    return NotLeaderOrFollower(
        f"broker {partition.owner} leads {partition.topic}-{partition.index}",
        leader=partition.owner,
        epoch=partition.epoch,
    )
