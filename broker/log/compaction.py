"""Small objects become large ones, in the background: who does what when. What becomes what is compaction_plan's.

1. Each broker looks after the shared objects that it made (every few minutes) and the partitions it owns (less often);
   those of an absent broker are taken over by whoever gets the lease first. A lease only keeps two from doing the same
   work; the swap is safe without it.
2. After each object the work rests as long as it took, so that it never has more than half of the core (law 14); its
   requests queue behind the tail's and the readers' (law 13).
3. A round reads at most `compaction_round_bytes`, one object's worth in memory; what is left makes the next one come
   soon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from broker.clock import Clock
from broker.errors import KafkaError
from broker.ids import Entropy
from broker.log.cleaning import Cleaning
from broker.log.compaction_plan import FANOUT, Output, of_partitions, out_of_shared, worth_sharing_again
from broker.log.config import LogsConfig
from broker.log.log import Log
from broker.log.rewriting import Rewriter
from broker.metadata import commits, compactions
from broker.metadata.compactions import Source
from broker.metadata.store import Metadata
from broker.wal.kinds import Say

LEASE_MS = 120_000
MAX_SOURCES = 1000
MAX_RANGES = 100_000
"""Planned at once."""
UIDS_AT_ONCE = 200
SOON_S = 1.0
TICK_S = 1.0


@dataclass(kw_only=True)
class Duty:
    """Something to do again and again; `due` is on the monotonic clock."""

    every_s: float
    work: Callable[[], Awaitable[bool]]
    """Says whether something is left to do soon."""
    due: float


class Compactor:
    """All compaction of one broker; `run` is its life."""

    def __init__(
        self,
        *,
        logs: Iterable[Log],
        metadata: Metadata,
        rewriter: Rewriter,
        cleaning: Cleaning,
        clock: Clock,
        entropy: Entropy,
        config: LogsConfig,
        owner: commits.Wal,
        say: Say,
    ) -> None:
        self._logs, self._metadata, self._rewriter, self._cleaning = logs, metadata, rewriter, cleaning
        self._clock, self._entropy, self._config, self._owner, self._say = clock, entropy, config, owner, say

    async def run(self) -> None:
        """Until cancelled."""
        duties = [
            self._duty(self._config.compact_shared_s, self.compact_shared),
            self._duty(self._config.compact_partitions_s, self.compact_partitions),
            self._duty(self._config.clean_s, self._cleaning.clean),
        ]
        while True:
            await self._clock.sleep(TICK_S)
            for duty in duties:
                if self._clock.monotonic() < duty.due:
                    continue
                more = await self._patiently(duty)
                duty.due = self._clock.monotonic() + (SOON_S if more else self._jittered(duty.every_s))

    def _duty(self, every_s: float, work: Callable[[], Awaitable[bool]]) -> Duty:
        return Duty(every_s=every_s, work=work, due=self._clock.monotonic() + self._jittered(every_s))

    def _jittered(self, seconds: float) -> float:
        """Up to a tenth more or less, so that brokers that started together do not compact together."""
        return seconds * (0.9 + 0.2 * self._entropy(1)[0] / 255)

    async def _patiently(self, duty: Duty) -> bool:
        try:
            return await duty.work()
        except KafkaError as error:
            self._rewriter.failed()
            self._say(f"compaction failed, trying again in {duty.every_s:g} s: {error}")
            return False

    async def compact_shared(self) -> bool:
        """Shared objects of this broker and of absent ones; whether some are left for the next round."""
        more = False
        for broker in [self._owner[0], *await self._metadata.read(compactions.absent_brokers)]:
            if not await self._lease(f"shared/{broker}"):
                continue
            for level in await self._metadata.read(lambda tx, b=broker: compactions.levels(tx, b)):  # type: ignore[misc]
                more |= await self._compact_level(broker, level)
        return more

    async def _compact_level(self, broker: int, level: int) -> bool:
        sources = await self._metadata.read(lambda tx: compactions.sources(tx, broker, level, MAX_SOURCES))
        alone = [source.object_id for source in sources if source.ranges == 1]
        if alone:
            await self._metadata.write(lambda tx: compactions.set_apart(tx, alone))
        shared = [source for source in sources if source.ranges > 1]
        sparse = [source for source in shared if 2 * source.live_bytes < source.size_bytes]
        if level and not sparse and await self._crowding(broker, level) < FANOUT:
            return False
        taken = self._within_budget(shared)
        held = await self._metadata.read(lambda tx: compactions.held_in(tx, [one.object_id for one in taken]))
        usable = [one for one in held if one.uid not in self._rewriter.halted.uids]
        own, largest = self._config.compact_own_bytes, self._config.compact_object_bytes
        outputs = await asyncio.get_running_loop().run_in_executor(None, out_of_shared, usable, level, own, largest)
        if not sparse and not worth_sharing_again(outputs, len(taken)):
            return False
        await self._rewrite(outputs, f"shared/{broker}")
        return len(taken) < len(shared)

    async def _crowding(self, broker: int, level: int) -> int:
        return await self._metadata.read(lambda tx: compactions.crowding(tx, broker, level))

    def _within_budget(self, sources: Sequence[Source]) -> list[Source]:
        taken: list[Source] = []
        size = ranges = 0
        for source in sources:
            size += source.live_bytes
            ranges += source.ranges
            if taken and (size > self._config.compact_round_bytes or ranges > MAX_RANGES):
                break
            taken.append(source)
        return taken

    async def compact_partitions(self) -> bool:
        """Small objects of the partitions this broker owns."""
        name = f"partitions/{self._owner[0]}"
        if not await self._lease(name):
            return False
        await self._metadata.write(compactions.prune)
        uids = [log.uid for log in self._logs if log.uid not in self._rewriter.halted.uids]
        largest = self._config.compact_object_bytes
        left = self._config.compact_round_bytes
        for at in range(0, len(uids), UIDS_AT_ONCE):
            some = uids[at : at + UIDS_AT_ONCE]
            held = await self._metadata.read(
                lambda tx, some=some: compactions.small_ranges(tx, some, largest // 2)  # type: ignore[misc]
            )
            left -= await self._rewrite(of_partitions(held, largest), name)
            if left <= 0:
                return True
        return False

    async def _rewrite(self, outputs: Sequence[Output], lease: str) -> int:
        """The bytes read; ends early when the lease is somebody else's by now."""
        total = 0
        for output in outputs:
            if not await self._lease(lease):
                break
            begun = self._clock.monotonic()
            total += await self._rewriter.rewrite(output)
            await self._clock.sleep(self._clock.monotonic() - begun)
        return total

    async def _lease(self, name: str) -> bool:
        now_ms = self._clock.wall_ms()
        return (
            await self._metadata.write(
                lambda tx: compactions.take_lease(tx, name, *self._owner, now_ms=now_ms, ttl_ms=LEASE_MS)
            )
            is not None
        )
