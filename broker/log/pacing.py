"""When to upload, and how producers are kept from running ahead of it (law 12).

What waits for upload is what the WAL counts. From half of its limit on an upload is due and producers are asked to
wait, longer and longer; past `HOLD_AT` their sockets are not read any more, so that they feel it without an error; only
what was under way by then can meet the limit itself, and is refused with a retriable error before anything is recorded.

A long absence of the store leaves much to move, and the WAL forgets only what is committed whole. So the way is marked
with checkpoints while records come in, and a round goes no further than one that is `ROUND_BYTES` ahead: room comes
back within a second or two, and not when everything is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from broker.clock import Clock
from broker.errors import KafkaError
from broker.log.config import MIB, LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.parts import Checkpoint
from broker.log.tail import TailBudget
from broker.log.uploader import Uploader
from broker.objects.budget import Bandwidth
from broker.wal.base import Wal
from broker.wal.kinds import Say

WATCH_S = 0.05
FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 1.0
THROTTLE_FROM = 0.5
LONGEST_THROTTLE_MS = 1000
HOLD_AT = 0.85
RELEASE_AT = 0.75
RECOVERY_FIRST_S = 5.0
"""How long an upload that only time asks for waits for a recovery of another broker."""
CHECKPOINT_BYTES = 16 * MIB
ROUND_BYTES = 64 * MIB
BUSY_BYTES_PER_S = MIB
"""Written at this rate, the tail is busy, and readers behind it get their limit."""
BUSY_OVER_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _Noted:
    appended_bytes: int
    """What had been appended in all by then."""
    checkpoint: Checkpoint


class Pacing:
    """Of one broker. `watch` and `upload` run until cancelled."""

    def __init__(
        self,
        *,
        logs: Callable[[], Iterable[Log]],
        wal: Wal,
        uploader: Uploader,
        budget: TailBudget,
        clock: Clock,
        config: LogsConfig,
        stats: StorageStats,
        bandwidth: Bandwidth,
        say: Say,
    ) -> None:
        self._bandwidth = bandwidth
        self._sampled = clock.monotonic(), budget.appended_bytes
        self._logs, self._wal, self._uploader, self._budget = logs, wal, uploader, budget
        self._clock, self._config, self._stats, self._say = clock, config, stats, say
        self._noted: deque[_Noted] = deque()
        self._oldest: float | None = None
        self._held_since = 0.0

    @property
    def pressure(self) -> float:
        """0 with nothing waiting, 1 at the limit."""
        return self._wal.used_bytes / self._wal.stats.limit_bytes

    @property
    def throttle_ms(self) -> int:
        """How long a producer should wait before its next request."""
        over = (self.pressure - THROTTLE_FROM) / (1 - THROTTLE_FROM)
        if over <= 0:
            return 0
        return min(int(over * LONGEST_THROTTLE_MS), LONGEST_THROTTLE_MS)

    @property
    def oldest_pending_s(self) -> float:
        """Age of the oldest record that only the WAL has."""
        return 0.0 if self._oldest is None else self._clock.monotonic() - self._oldest

    async def watch(self) -> None:
        """Marks the way, and holds producers or lets them go."""
        while True:
            self.look()
            await self._clock.sleep(WATCH_S)

    def look(self) -> None:
        now = self._clock.monotonic()
        self._sample(now)
        self._budget.shrink()
        self._stats.tail.held_bytes, self._stats.tail.limit_bytes = self._budget.held_bytes, self._budget.limit_bytes
        if self._budget.pending_bytes and self._oldest is None:
            self._oldest = now
        last = self._noted[-1].appended_bytes if self._noted else 0
        if self._budget.appended_bytes - last >= CHECKPOINT_BYTES:
            checkpoint = Checkpoint(
                mark=self._wal.mark(), ends={log.uid: (log.epoch, log.high_watermark) for log in self._logs()}
            )
            self._noted.append(_Noted(appended_bytes=self._budget.appended_bytes, checkpoint=checkpoint))
        held = self.pressure >= (RELEASE_AT if self._stats.producers_held else HOLD_AT)
        if held != self._stats.producers_held:
            self._hold(held, now)

    def _sample(self, now: float) -> None:
        at, appended_bytes = self._sampled
        if now - at >= BUSY_OVER_S:
            rate = (self._budget.appended_bytes - appended_bytes) / (now - at)
            self._bandwidth.tail_busy = rate >= BUSY_BYTES_PER_S
            self._sampled = now, self._budget.appended_bytes

    def _hold(self, on: bool, now: float) -> None:
        self._stats.producers_held = on
        if on:
            self._held_since = now
            self._stats.holds += 1
            self._say(f"producers are held back: {self._wal.used_bytes} bytes wait for upload")
        else:
            self._say(f"producers may go on after {now - self._held_since:.1f} s")
        self._stats.on_hold(on)

    async def upload(self) -> None:
        """A round when one is due: by size, by time, or because the last one left much."""
        last, retry_s = self._clock.monotonic(), FIRST_RETRY_S
        while True:
            now = self._clock.monotonic()
            if not self._is_due(now - last):
                await self._clock.sleep(min(WATCH_S, self._config.upload_interval_s))
                continue
            used_bytes = self._wal.used_bytes
            try:
                await self._round(now)
                last, retry_s = now, FIRST_RETRY_S
                await self._clock.sleep(0 if self._wal.used_bytes < used_bytes else self._config.poll_s)
            except KafkaError as error:
                self._say(f"upload failed, the WAL keeps {self._budget.pending_bytes} bytes: {error}")
                await self._clock.sleep(retry_s)
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    def _is_due(self, since_last_s: float) -> bool:
        """A recovery at work here goes first, for a while: its partitions are offline, and it needs the same disk or
        store.
        """
        if self.pressure > THROTTLE_FROM:
            return True
        if self._stats.recoveries_running and since_last_s < self._config.upload_interval_s + RECOVERY_FIRST_S:
            return False
        return self._budget.pending_bytes >= self._config.upload_bytes or since_last_s >= self._config.upload_interval_s

    async def _round(self, now: float) -> None:
        until = self._until()
        await self._uploader.upload(list(self._logs()), until)
        while self._noted and (until is None or self._noted[0].checkpoint.mark <= until.mark):
            self._noted.popleft()
        self._oldest = now if self._budget.pending_bytes else None

    def _until(self) -> Checkpoint | None:
        """How far the next round goes; None for all of it."""
        if self._budget.pending_bytes <= ROUND_BYTES or not self._noted:
            return None
        done_bytes = self._budget.appended_bytes - self._budget.pending_bytes
        near: Sequence[_Noted] = [one for one in self._noted if one.appended_bytes <= done_bytes + ROUND_BYTES]
        return (near[-1] if near else self._noted[0]).checkpoint
