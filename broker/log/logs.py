"""All partitions one broker owns, from its WAL's lock to its goodbye: the part of a broker that stores.

    lock()   the WAL is locked and read: a second process with this directory ends here, and so does a corrupt ring
    start()  registers, replays what an earlier life left, opens what is owned, and begins to beat, watch, upload and
    tidy up stop()   uploads everything, gives it to others (or to nobody), deregisters, lets go of the lock

Ownership follows the image: what it gives is opened with what SQL says, what it takes is closed, a `target` starts a
handover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
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
from broker.log.housekeeping import Housekeeping
from broker.log.log import Log
from broker.log.membership import Membership, Say
from broker.log.reader import ObjectReader
from broker.log.recovery import fence, replay
from broker.log.tail import TailBudget
from broker.log.uploader import Uploader
from broker.metadata import commits, members
from broker.metadata.image import Image, Partition, Recovery
from broker.metadata.rows import Registration
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore, claim
from broker.wal.base import WalError
from broker.wal.disk import DiskWal, directory_of
from broker.wal.holder import HeldByAnother

RETRY_S = 0.5
UPLOAD_RETRY_S = 1.0
LOCK_POLL_S = 0.05
THROTTLE_FROM = 0.5
"""Of the WAL's room in use: from here on producers are asked to wait, up to LONGEST_THROTTLE_MS when it is full."""
LONGEST_THROTTLE_MS = 1000


class Logs:
    def __init__(
        self,
        metadata: Metadata,
        store: ObjectStore,
        *,
        clock: Clock,
        entropy: Entropy,
        broker_id: int,
        config: LogsConfig,
        say: Say,
    ) -> None:
        self.stats = StorageStats()
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        """Done when the broker must exit at once: its WAL failed, or the others declared it dead."""
        self._metadata, self._store, self._clock, self._entropy = metadata, store, clock, entropy
        self._id, self._config, self._say = broker_id, config, say
        self._budget = TailBudget(limit_bytes=config.tail_cache_bytes)
        self._reader = ObjectReader(store=store, metadata=metadata, limit_bytes=config.block_cache_bytes)
        self._logs: dict[int, Log] = {}
        self._wal: DiskWal | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._applying = asyncio.Event()
        self._recovering: set[tuple[int, int]] = set()
        self._oldest_pending: float | None = None
        self._epoch = -1
        self._host_id = ""
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
        log = self._logs.get(partition.uid)
        if log is None:
            raise not_leader(partition)
        return log

    def __iter__(self) -> Iterator[Log]:
        return iter(list(self._logs.values()))

    def __len__(self) -> int:
        return len(self._logs)

    def throttle_ms(self) -> int:
        """How long a producer should wait before its next request, so that uploads keep up (law 12)."""
        if self._wal is None:
            return 0
        over = self._wal.used_bytes / self._wal.stats.capacity_bytes - THROTTLE_FROM
        return int(max(over, 0) / (1 - THROTTLE_FROM) * LONGEST_THROTTLE_MS)

    @property
    def is_controller(self) -> bool:
        return self.ready and self._membership.controller_epoch is not None

    @property
    def pending_upload_bytes(self) -> int:
        return sum(log.pending_bytes for log in self._logs.values())

    @property
    def oldest_pending_s(self) -> float:
        """Age of the oldest record that only the WAL has."""
        return 0.0 if self._oldest_pending is None else self._clock.monotonic() - self._oldest_pending

    # -- life --------------------------------------------------------------------------------------------------------

    async def lock(self) -> None:
        """Locks and reads the WAL. HeldByAnother or WalError, one line each."""
        directory = directory_of(self._config.wal_url)
        self._wal = await self._take(directory)
        if self._wal.recovered.note:
            self._say(self._wal.recovered.note)
        self.stats.wal_capacity_bytes = self._wal.stats.capacity_bytes

    async def _take(self, directory: Path) -> DiskWal:
        """Waits a little for the lock: a recoverer of this broker's earlier life gives it back when it is done."""
        patience = self._clock.monotonic() + self._config.lock_wait_s
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    None, DiskWal.take, directory, self._config.wal_bytes, self._entropy
                )
            except HeldByAnother:
                if self._clock.monotonic() > patience:
                    raise
                await self._clock.sleep(LOCK_POLL_S)

    async def start(self, me: Registration) -> None:
        """Everything up to serving. BadStore, DuplicateResource, WalError or MetadataUnavailable when it cannot."""
        wal = self._held_wal()
        self._host_id = me.host_id
        await claim(self._store, self._metadata.image.cluster_id)
        now_ms = self._clock.wall_ms()
        self._epoch, recovery = await self._metadata.change(lambda tx: members.register(tx, me, now_ms))
        self._membership = Membership(
            self._metadata,
            self._clock,
            self._config,
            broker_id=self._id,
            epoch=self._epoch,
            host_id=me.host_id,
            say=self._say,
            lost=self._fail,
        )
        self._spawn(self._membership.beat())
        wal.start(self._epoch)
        wal.failed.add_done_callback(lambda done: self._fail(done.result()))
        wal.on_group = lambda seconds: self.stats.on_operation("append_wal", "ok", seconds)
        if recovery is not None:
            uids = await replay(self._metadata, self._store, self._clock, recovery, wal.recovered.entries, self._id)
            self._say(f"recovered {len(uids)} partitions from this broker's own WAL")
        await wal.forget_recovered()
        await self._open_for_business()

    async def _open_for_business(self) -> None:
        self._uploader = Uploader(
            metadata=self._metadata,
            store=self._store,
            wal=self._held_wal(),
            owner=(self._id, self._epoch),
            clock=self._clock,
            config=self._config,
            stats=self.stats,
        )
        self._housekeeping = Housekeeping(
            logs=self,
            metadata=self._metadata,
            store=self._store,
            clock=self._clock,
            config=self._config,
            owner=(self._id, self._epoch),
            membership=self._membership,
            say=self._say,
        )
        self._metadata.subscribe(lambda _: self._applying.set())
        await self._apply(self._metadata.image)
        self.ready = True
        self._applying.set()
        for task in (self._membership.watch(), self._follow(), self._upload_for_ever(), self._housekeeping.run()):
            self._spawn(task)

    async def stop(self) -> None:
        """Hands everything over and leaves. What cannot be uploaded stays in the WAL for the next start, or for a
        recoverer.
        """
        self.ready = False
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        wal = self._held_wal()
        clean = self._epoch >= 0 and not self.failed.done() and await self._release_all()
        if clean:
            await wal.trim(wal.mark())
        await wal.close()

    async def _release_all(self) -> bool:
        logs = list(self._logs.values())
        try:
            await self._uploader.release(logs)
            await self._metadata.refresh()
        except KafkaError as error:
            self._say(f"not everything could be handed over, the WAL keeps it for the next start: {error}")
            return False
        finally:
            for log in logs:
                self._close(log, self._metadata.image)
        return True

    def _held_wal(self) -> DiskWal:
        if self._wal is None:
            raise WalError("lock() comes before start()")
        return self._wal

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_result(error)
        for log in list(self._logs.values()):
            log.close(NotLeaderOrFollower("this broker is going down"))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(Exception(f"an inner task failed, so the broker stops: {error!r}"))

    # -- following the image -----------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            await self._applying.wait()
            self._applying.clear()
            await self._patiently("opening partitions", lambda: self._apply(self._metadata.image))
            self._recover_others(self._metadata.image)
            await self._patiently("handing partitions over", lambda: self._hand_over(self._metadata.image))

    async def _patiently(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Tries again later when a store is away; nothing is lost by waiting."""
        try:
            await work()
        except KafkaError as error:
            self._say(f"{what}: {error}; trying again")
            await self._clock.sleep(RETRY_S)
            self._applying.set()

    async def _apply(self, image: Image) -> None:
        """Closes what is not ours any more and opens what is."""
        mine = {p.uid: p for topic in image.topics.values() for p in topic.partitions if p.owner == self._id}
        for log in list(self._logs.values()):
            if (partition := mine.get(log.uid)) is None or partition.epoch != log.epoch:
                self._close(log, image)
        missing = [uid for uid in mine if uid not in self._logs]
        if not missing:
            return
        found = await self._metadata.read(lambda tx: commits.openings(tx, self._id, self._epoch, missing))
        for opening in found:
            self._logs[opening.uid] = Log(
                mine[opening.uid], opening, wal=self._held_wal(), reader=self._reader, budget=self._budget
            )

    def _close(self, log: Log, image: Image) -> None:
        self._logs.pop(log.uid, None)
        partition = image.partition(log.topic_id, log.index)
        log.close(UnknownTopicOrPartition(f"{log.topic} was deleted") if partition is None else not_leader(partition))

    async def _hand_over(self, image: Image) -> None:
        moving = [
            log
            for log in self._logs.values()
            if (p := image.partition(log.topic_id, log.index)) is not None
            and p.target is not None
            and (to := image.brokers.get(p.target[0])) is not None
            and to.alive
        ]
        if not moving:
            return
        begun = self._clock.monotonic()
        moved = await self._uploader.hand_over(moving)
        image = await self._metadata.refresh()
        for log in moving:
            if log.uid in moved:
                self._close(log, image)
        self.stats.moves += len(moved)
        self.stats.on_operation("move", "ok", self._clock.monotonic() - begun)

    def _recover_others(self, image: Image) -> None:
        for recovery in image.recoveries.values():
            key = (recovery.broker, recovery.epoch)
            if recovery.recoverer == self._id and recovery.broker != self._id and key not in self._recovering:
                self._recovering.add(key)
                self._spawn(self._recover(recovery, key))

    async def _recover(self, recovery: Recovery, key: tuple[int, int]) -> None:
        """Until it is done, or the duty is somebody else's."""
        begun, told = self._clock.monotonic(), ""
        while self._metadata.image.recoveries.get(recovery.broker) == recovery:
            try:
                uids = await self._recover_once(recovery)
                seconds = self._clock.monotonic() - begun
                self.stats.failovers += 1
                self.stats.on_operation("failover", "ok", seconds)
                self._say(f"recovered {len(uids)} partitions of broker {recovery.broker} in {seconds:.2f} s")
            except (KafkaError, WalError) as error:
                if str(error) != told:
                    self._say(f"recovery of broker {recovery.broker}: {error}")
                told = str(error)
                await self._clock.sleep(RETRY_S)
        self._recovering.discard(key)

    async def _recover_once(self, recovery: Recovery) -> Sequence[int]:
        dead = self._metadata.image.brokers[recovery.broker]
        wal = await fence(dead, self._host_id, self._clock, self._entropy, self._say)
        try:
            return await replay(self._metadata, self._store, self._clock, recovery, wal.recovered.entries, None)
        finally:
            wal.abandon()

    # -- uploading ---------------------------------------------------------------------------------------------------

    async def _upload_for_ever(self) -> None:
        last = self._clock.monotonic()
        while True:
            await self._clock.sleep(min(self._config.poll_s, self._config.upload_interval_s))
            now, pending = self._clock.monotonic(), self.pending_upload_bytes
            if pending and self._oldest_pending is None:
                self._oldest_pending = now
            wal = self._held_wal()
            full = pending >= self._config.upload_bytes or wal.used_bytes > wal.stats.capacity_bytes * THROTTLE_FROM
            if not full and now - last < self._config.upload_interval_s:
                continue
            last = now
            try:
                await self._uploader.upload(list(self._logs.values()))
                self._oldest_pending = now if self.pending_upload_bytes else None
                self._budget.shrink()
            except KafkaError as error:
                self._say(f"upload failed, the WAL keeps {pending} bytes: {error}")
                last = now - self._config.upload_interval_s + UPLOAD_RETRY_S


def not_leader(partition: Partition) -> NotLeaderOrFollower:
    """Says who leads, as far as this broker knows (KIP-951)."""
    return NotLeaderOrFollower(
        f"broker {partition.owner} leads {partition.topic}-{partition.index}",
        leader=partition.owner,
        epoch=partition.epoch,
    )
