"""Copies of the metadata in the bucket, so that a cluster survives the loss of its metadata store (law 8).

1. The controller makes one every five minutes, and at once when it takes the duty over; the last broker to leave makes
   one as well. Nothing else is needed to bring a cluster back (`streampilot restore`).
2. The names sort by metadata version, so the newest is the last; the last dozen are kept.
3. Whatever a copy does not have is the loss window: what was committed after it was taken.
"""

from __future__ import annotations

import asyncio

from broker.clock import Clock
from broker.errors import KafkaError
from broker.log.config import StorageStats
from broker.log.membership import Membership
from broker.metadata import snapshot
from broker.metadata.store import Metadata
from broker.objects.store import ObjectStore
from broker.wal.kinds import Say

PREFIX = "metadata/"
KEPT = 12
LOOK_S = 1.0
LAST_S = 2.0


def snapshot_key(version: int) -> str:
    return f"{PREFIX}{version:020d}.snapshot"


class Snapshots:
    """The duty, as the controller runs it."""

    def __init__(
        self,
        *,
        metadata: Metadata,
        store: ObjectStore,
        clock: Clock,
        membership: Membership,
        interval_s: float,
        stats: StorageStats,
        say: Say,
    ) -> None:
        self._metadata, self._store, self._clock = metadata, store, clock
        self._membership, self._interval_s, self._stats, self._say = membership, interval_s, stats, say
        self._taken_by: int | None = None
        """The controller epoch under which the last one was taken."""
        self._taken_at = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            try:
                if self._is_due():
                    await self.take()
            except KafkaError as error:
                self._say(f"no metadata snapshot, trying again: {error}")

    def _is_due(self) -> bool:
        epoch = self._membership.controller_epoch
        if epoch is None:
            return False
        return epoch != self._taken_by or self._clock.monotonic() - self._taken_at >= self._interval_s

    async def take(self) -> None:
        """One copy, and the oldest ones gone."""
        epoch, at_ms = self._membership.controller_epoch, self._clock.wall_ms()
        data = await self._metadata.read_apart(lambda tx: snapshot.dump(tx, at_ms))
        header = await asyncio.get_running_loop().run_in_executor(None, snapshot.header_of, data)
        await self._store.put(snapshot_key(header.version), data)
        self._taken_by, self._taken_at = epoch, self._clock.monotonic()
        self._stats.snapshot_at_ms, self._stats.snapshot_bytes = at_ms, len(data)
        for key in sorted(await self._listed())[:-KEPT]:
            await self._store.delete(key)

    async def take_last(self) -> None:
        """A controller that leaves makes one more, and so does the last broker, whoever it is, once all is given away:
        nothing is missing from that one.
        """
        try:
            async with asyncio.timeout(LAST_S):
                if self._membership.controller_epoch is not None or not (await self._metadata.refresh()).alive():
                    await self.take()
        except (KafkaError, TimeoutError) as error:
            self._say(f"no last metadata snapshot: {error}")

    async def _listed(self) -> list[str]:
        return [key for key, _ in await self._store.list(PREFIX)]
