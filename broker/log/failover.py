"""Recoveries that fell to this broker: each is carried through until it is done, or the duty is somebody else's (law
5).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence

from broker.clock import Clock
from broker.errors import KafkaError
from broker.log.config import StorageStats
from broker.log.membership import site
from broker.log.recovery import replay
from broker.metadata import trims
from broker.metadata.image import Image, Recovery
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore
from broker.wal.base import WalError
from broker.wal.kinds import Say, Wals

RETRY_S = 0.5

Spawn = Callable[[Coroutine[object, object, None]], object]


class Failover:
    """Looks at each image for recoveries of other brokers that name this one."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        store: ObjectStore,
        wals: Wals,
        clock: Clock,
        broker_id: int,
        stats: StorageStats,
        say: Say,
        spawn: Spawn,
    ) -> None:
        self._metadata, self._store, self._wals, self._clock = metadata, store, wals, clock
        self._id, self._stats, self._say, self._spawn = broker_id, stats, say, spawn
        self._under_way: set[tuple[int, int]] = set()

    def look(self, image: Image) -> None:
        """Starts what is not under way yet."""
        for recovery in image.recoveries.values():
            key = (recovery.broker, recovery.epoch)
            if recovery.recoverer == self._id and recovery.broker != self._id and key not in self._under_way:
                self._under_way.add(key)
                self._spawn(self._carry_through(recovery, key))

    async def _carry_through(self, recovery: Recovery, key: tuple[int, int]) -> None:
        begun, told = self._clock.monotonic(), ""
        self._stats.recoveries_running += 1
        while self._metadata.image.recoveries.get(recovery.broker) == recovery:
            try:
                uids = await self._recover(recovery)
                seconds = self._clock.monotonic() - begun
                self._stats.failovers += 1
                self._stats.on_operation("failover", "ok", seconds)
                self._say(f"recovered {len(uids)} partitions of broker {recovery.broker} in {seconds:.2f} s")
            except (KafkaError, WalError) as error:
                if str(error) != told:
                    self._say(f"recovery of broker {recovery.broker}: {error}")
                told = str(error)
                if isinstance(error, WalError):
                    self._stats.unreachable_wals.add(recovery.broker)
                await self._clock.sleep(RETRY_S)
        self._stats.recoveries_running -= 1
        self._stats.unreachable_wals.discard(recovery.broker)
        self._under_way.discard(key)

    async def _recover(self, recovery: Recovery) -> Sequence[int]:
        dead = self._metadata.image.brokers[recovery.broker]
        epochs = await self._metadata.read(
            lambda tx: trims.unfinished_epochs(tx, recovery.broker, recovery.broker_epoch)
        )
        seized = await self._wals.of(dead.wal_url).seize(site(dead), epochs)
        try:
            return await replay(self._metadata, self._store, self._clock, recovery, seized.entries, None)
        finally:
            await seized.release()
