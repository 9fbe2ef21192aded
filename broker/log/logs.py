"""All partitions one broker owns, from its WAL's lock to its goodbye: the part of a broker that stores.

lock()   the WAL is locked and read: a second process with this directory ends here, and so does a corrupt ring
start()  registers, replays what an earlier life left, opens what is owned, and begins to beat, watch, upload and
         tidy up
stop()   uploads everything, gives it to others (or to nobody), deregisters, lets go of the lock
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from uuid import UUID

from broker.clock import Clock
from broker.errors import (
    KafkaError,
    NotLeaderOrFollower,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from broker.ids import Entropy
from broker.log.config import LogsConfig, StorageStats
from broker.log.duties import MetadataDuties
from broker.log.failover import Failover
from broker.log.log import Log
from broker.log.membership import Membership
from broker.log.neighbours import NEW_S, Neighbours
from broker.log.ownership import Ownership, not_leader
from broker.log.pacing import Pacing
from broker.log.reader import ObjectReader
from broker.log.recovery import replay
from broker.log.snapshots import Snapshots
from broker.log.tail import TailBudget
from broker.log.upkeep import make_upkeep
from broker.log.uploader import Uploader
from broker.metadata import members, trims
from broker.metadata.image import Image, Partition, Recovery
from broker.metadata.rows import Registration
from broker.metadata.store import Metadata
from broker.objects.probe import claim, prove
from broker.objects.store import ObjectStore
from broker.peers.client import Peers
from broker.turns import Turns
from broker.wal.base import Wal, WalError
from broker.wal.kinds import Say, Site, Tools, Wals


class Logs:
    def __init__(
        self,
        metadata: Metadata,
        store: ObjectStore,
        *,
        wal_store: Callable[[str], ObjectStore],
        clock: Clock,
        entropy: Entropy,
        broker_id: int,
        host_id: str,
        config: LogsConfig,
        say: Say,
        peers: Peers | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`wal_store` gives the store of a WAL URL, for WALs that lie in one."""
        self.stats = StorageStats()
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Done when the broker must exit at once: its WAL failed, or the others declared it dead."""
        self._metadata, self._store, self._clock, self._entropy = metadata, store, clock, entropy
        self._turns = turns or Turns(clock)
        self._id, self._host_id, self._config, self._say = broker_id, host_id, config, say
        self._wals = Wals(
            Tools(
                clock=clock,
                entropy=entropy,
                duties=MetadataDuties(metadata),
                host_id=host_id,
                say=say,
                cluster_id=metadata.image.cluster_id,
                store=wal_store,
                pace_s=config.wal_pace_s,
            )
        )
        self._budget = TailBudget(limit_bytes=config.tail_cache_bytes, stats=self.stats.tail)
        self._reader = ObjectReader(
            store=store,
            metadata=metadata,
            limit_bytes=config.block_cache_bytes,
            ahead_bytes=config.read_ahead_bytes,
            stats=self.stats.block,
            index_stats=self.stats.index,
        )
        self.stats.limiter_waiting, self.stats.limiter_bytes = store.bandwidth.waiting, store.bandwidth.bytes
        self._wal: Wal | None = None
        self._ownership: Ownership | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._neighbours = Neighbours(peers, broker_id, self._spawn)
        self._pacing: Pacing | None = None
        self._epoch = -1
        self.ready = False

    # -- what the API uses -------------------------------------------------------------------------------------------

    def get(self, topic: str | UUID, index: int) -> Log:
        """The open log. UnknownTopicOrPartition (UnknownTopicId for a UUID), or NotLeaderOrFollower naming who
        leads.
        """
        image = self._metadata.image
        found = image.topic(topic)
        if found is None:
            raise UnknownTopicId(f"no topic {topic}") if isinstance(topic, UUID) else UnknownTopicOrPartition(topic)
        if not 0 <= index < len(found.partitions):
            raise UnknownTopicOrPartition(f"{found.name} has no partition {index}")
        partition = found.partitions[index]
        log = self._open.get(partition.uid)
        if log is None:
            raise not_leader(partition)
        return log

    def find(self, uid: int) -> Log | None:
        """The open log of a partition, by its identity."""
        return self._open.get(uid)

    @property
    def _open(self) -> dict[int, Log]:
        return self._ownership.logs if self._ownership is not None else {}

    def __iter__(self) -> Iterator[Log]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def throttle_ms(self) -> int:
        """How long a producer should wait before its next request, so that uploads keep up (law 12)."""
        return self._pacing.throttle_ms if self._pacing is not None else 0

    async def look(self, version: int, uids: Collection[int]) -> tuple[int, list[int]]:
        """What another broker's LOOK asks (broker.peers): the version seen here now, and which of `uids` are open."""
        return (0, []) if self._ownership is None else await self._ownership.look(version, uids)

    async def announce(self, new: Iterable[Partition] = ()) -> None:
        """Tells the other brokers to look at the metadata now, and waits a moment until those who lead `new` partitions
        serve them, this one too: who was told that a topic exists goes there next. One of each leader's says it of all.
        """
        image, opened = self._metadata.image, {each.owner: (each.uid,) for each in new}
        own = [self._spawn(self._open_own(self._ownership, image))] if self._ownership and self._id in opened else []
        await self._neighbours.tell(image, opened, NEW_S)
        if own:
            await asyncio.wait(own, timeout=NEW_S)

    async def _open_own(self, ownership: Ownership, image: Image) -> None:
        with contextlib.suppress(KafkaError):  # whoever follows the metadata tries again
            await ownership.apply(image)

    @property
    def is_controller(self) -> bool:
        return self.ready and self._membership.controller_epoch is not None

    @property
    def pending_upload_bytes(self) -> int:
        return self._budget.pending_bytes

    @property
    def wal_used_bytes(self) -> int:
        return self._wal.used_bytes if self._wal is not None else 0

    @property
    def wal_capacity_bytes(self) -> int:
        return self.stats.wal_capacity_bytes

    @property
    def wal_url(self) -> str:
        return self._config.wal_url

    @property
    def objects_url(self) -> str:
        return self._store.url

    @property
    def oldest_pending_s(self) -> float:
        """Age of the oldest record that only the WAL has."""
        return self._pacing.oldest_pending_s if self._pacing is not None else 0.0

    # -- life --------------------------------------------------------------------------------------------------------

    async def lock(self) -> None:
        """Locks and reads the WAL. HeldByAnother or WalError, one line each."""
        url = self._config.wal_url
        site = Site(url=url, broker=self._id, host_id=self._host_id)
        self._wal = await self._wals.of(url).own(site, self._config.wal_bytes, self._config.lock_wait_s)
        if self._wal.recovered.note:
            self._say(self._wal.recovered.note)
        self._wal.stats.limit_bytes = min(self._config.pending_limit_bytes, self._wal.stats.capacity_bytes)
        self.stats.wal_capacity_bytes = self._wal.stats.capacity_bytes

    async def start(self, me: Registration) -> None:
        """Everything up to serving. BadStore, DuplicateResource, WalError or MetadataUnavailable when it cannot."""
        wal = self._held_wal()
        await claim(self._store, self._metadata.image.cluster_id)
        await prove(self._store, self._metadata.image.cluster_id, self._entropy(8).hex())
        now_ms = self._clock.wall_ms()
        self._epoch, recovery = await self._metadata.change(lambda tx: members.register(tx, me, now_ms))
        self._membership = Membership(
            self._metadata,
            self._clock,
            self._config,
            broker_id=self._id,
            epoch=self._epoch,
            wals=self._wals,
            say=self._say,
            lost=self._fail,
            absent=self._neighbours.absent,
        )
        self._beating = self._spawn(self._membership.beat())
        wal.start(self._epoch)
        wal.failed.add_done_callback(lambda done: self._fail(done.result()))
        wal.on_group = lambda seconds: self.stats.on_operation("append_wal", "ok", seconds)
        if recovery is not None:
            await self._recover_own(wal, recovery)
        await wal.forget_recovered()
        await self._open_for_business(wal)

    async def _recover_own(self, wal: Wal, recovery: Recovery) -> None:
        epochs = await self._metadata.read(lambda tx: trims.unfinished_epochs(tx, self._id, recovery.broker_epoch))
        entries = await wal.read_back(epochs)
        self.stats.recoveries_running += 1
        uids = await replay(self._metadata, self._store, self._clock, recovery, entries, self._id)
        self.stats.recoveries_running -= 1
        self._say(f"recovered {len(uids)} partitions from this broker's own WAL")

    async def _open_for_business(self, wal: Wal) -> None:
        owner = (self._id, self._epoch)
        self._uploader = Uploader(
            metadata=self._metadata,
            store=self._store,
            wal=wal,
            owner=owner,
            clock=self._clock,
            turns=self._turns,
            config=self._config,
            stats=self.stats,
        )
        self._upkeep = make_upkeep(
            logs=self,
            metadata=self._metadata,
            store=self._store,
            clock=self._clock,
            entropy=self._entropy,
            config=self._config,
            owner=owner,
            membership=self._membership,
            wals=self._wals,
            stats=self.stats,
            say=self._say,
        )
        self._snapshots = Snapshots(
            metadata=self._metadata,
            store=self._store,
            clock=self._clock,
            membership=self._membership,
            interval_s=self._config.snapshot_s,
            stats=self.stats,
            say=self._say,
        )
        self._ownership = Ownership(
            metadata=self._metadata,
            wal=wal,
            reader=self._reader,
            budget=self._budget,
            uploader=self._uploader,
            failover=self._failover(),
            neighbours=self._neighbours,
            owner=owner,
            clock=self._clock,
            turns=self._turns,
            stats=self.stats,
            say=self._say,
        )
        self._pacing = Pacing(
            logs=self._open.values,
            wal=wal,
            uploader=self._uploader,
            budget=self._budget,
            clock=self._clock,
            config=self._config,
            stats=self.stats,
            bandwidth=self._store.bandwidth,
            say=self._say,
        )
        await self._ownership.apply(self._metadata.image)
        self.ready = True
        for task in (
            self._membership.watch(),
            self._ownership.follow(),
            self._ownership.hand_over(),
            self._pacing.watch(),
            self._pacing.upload(),
            self._upkeep.housekeeping.run(),
            self._upkeep.compactor.run(),
            self._snapshots.run(),
        ):
            self._spawn(task)

    def _failover(self) -> Failover:
        return Failover(
            metadata=self._metadata,
            store=self._store,
            wals=self._wals,
            clock=self._clock,
            broker_id=self._id,
            stats=self.stats,
            say=self._say,
            spawn=self._spawn,
        )

    async def stop(self) -> None:
        """Hands everything over and leaves. What cannot be uploaded stays in the WAL for the next start, or for a
        recoverer.
        """
        self.ready = False
        await self._end(self._tasks - {self._beating})
        wal = self._held_wal()
        clean = self._epoch >= 0 and not self.failed.done() and await self._leave()
        await self._end(self._tasks)
        if clean:
            await self._snapshots.take_last()
            await wal.trim(wal.mark())
        await wal.close()

    async def _end(self, tasks: Collection[asyncio.Task[None] | None]) -> None:
        ending = [task for task in tasks if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _leave(self) -> bool:
        """Uploads while producers go on and the heart beats, then gives everything away in one short transaction."""
        if self._ownership is None:
            return False
        logs = list(self)
        try:
            await self._uploader.upload(logs)
            await self._end([self._beating])
            await self._uploader.release(logs)
            await self._ownership.give(logs)
        except KafkaError as error:
            self._say(f"not everything could be handed over, the WAL keeps it for the next start: {error}")
            return False
        finally:
            await self._ownership.close(logs)
        return True

    def _held_wal(self) -> Wal:
        if self._wal is None:
            raise WalError("lock() comes before start()")
        return self._wal

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_result(error)
        if self._ownership is not None:
            self._uploader.end()
        for log in self:
            log.close(NotLeaderOrFollower("this broker is going down"))

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(Exception(f"an inner task failed, so the broker stops: {error!r}"))
