"""The windows of share groups over the partitions that this broker leads: opened from their rows, stored before a
member is told that its word holds, and given up with the partition.

1. What a member said is in the row before it is answered. Where the row could not be written the window is forgotten,
   and opened again from what is stored: what was out may be given again.
2. A window belongs to one open log, and to one `state_epoch` of its row. A session that begins looks whether the row
   is still that one.
3. Locks and deliveries that nobody said anything about are in memory only; locks that lapse are stored when they do.
4. Windows nobody has used for a minute and of which nothing is out leave memory; their rows stay (law 12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from broker.clock import Clock
from broker.errors import KafkaError, KafkaStorageError, NotLeaderOrFollower
from broker.groups.coordinator import GroupCoordinator
from broker.groups.share_settings import BY_DURATION, EARLIEST, duration_ms
from broker.groups.share_stored import is_share
from broker.log.log import Log
from broker.log.waiters import SWEEP_FROM
from broker.metadata import Metadata, shares
from broker.metadata.rows import Coordinator
from broker.metadata.shares import NO_STATES, ShareRow, ShareWrite
from broker.shares.sessions import ShareSession, ShareSessions
from broker.shares.spans import Found
from broker.shares.window import Acquired, Said, Terms, Window

T = TypeVar("T")
_TICK_S = 0.1
_IDLE_S = 60.0
MAX_FLIGHTS = 500_000
"""Of all windows together: about 100 MB. At that many nothing new is given out until some of it is done."""


class Share:
    """One group's window over one open log."""

    def __init__(self, group_id: str, log: Log, row: ShareRow, now: float) -> None:
        self.group_id, self.log, self.state_epoch, self.used_s = group_id, log, row.state_epoch, now
        self.window = Window.load(min(row.start, log.log_end), row.states)
        self.closed = False
        self._waiting: list[asyncio.Future[None]] = []
        self._sweep_at = SWEEP_FROM

    def tell(self, future: asyncio.Future[None]) -> None:
        """Ends the future when a record comes back, room is made, or the window is given up."""
        if self.closed:
            wake((future,))
            return
        if len(self._waiting) >= self._sweep_at:
            self._waiting = [each for each in self._waiting if not each.done()]
            self._sweep_at = max(SWEEP_FROM, 2 * len(self._waiting))
        self._waiting.append(future)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        wake(waiting)

    def row(self) -> ShareRow:
        """As it is to be stored."""
        return ShareRow(
            start=self.window.start,
            state_epoch=self.state_epoch,
            leader_epoch=self.log.epoch,
            states=self.window.dump(),
        )


class Shares:
    """Those of one broker, and its share sessions."""

    def __init__(
        self,
        metadata: Metadata,
        clock: Clock,
        broker_id: int,
        groups: GroupCoordinator,
        find: Callable[[int], Log | None],
    ) -> None:
        """`find` gives the open log of a partition."""
        self.sessions = ShareSessions(clock=clock, slots=groups.settings.share.sessions)
        self._metadata, self._clock, self._broker_id, self._limits = metadata, clock, broker_id, groups.share_limits
        self._find = find
        self._open: dict[tuple[str, int], Share] = {}
        """By group and partition."""
        self._flights = 0
        """In all windows: counted as they begin, and anew with each tick."""
        self._opening: dict[tuple[str, int], asyncio.Task[Share]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def run(self) -> None:
        """Lets locks lapse, until cancelled."""
        while True:
            await self._clock.sleep(_TICK_S)
            now = self._clock.monotonic()
            self._flights = sum(len(share.window.flights) for share in self._open.values())
            for share in list(self._open.values()):
                if self._find(share.log.uid) is not share.log:
                    self.drop(share)
                elif share.window.due <= now and share.window.expire(now, self.terms(share).deliveries):
                    self._spawn(self._store_quietly(share))
                elif now - share.used_s > _IDLE_S and share.window.due == float("inf"):
                    self.drop(share)

    async def stop(self) -> None:
        tasks = [*self._tasks, *self._opening.values()]
        for share in list(self._open.values()):
            self.drop(share)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- windows -----------------------------------------------------------------------------------------------------

    async def open(self, group_id: str, log: Log, *, fresh: bool = False) -> Share:
        """The group's window over a log that is led here; `fresh`: after a look at its row (law 2). GroupIdNotFound
        for what is no share group.
        """
        share = self._open.get((group_id, log.uid))
        if share is not None and share.log is log and not fresh:
            share.used_s = self._clock.monotonic()
            return share
        key = (group_id, log.uid)
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = asyncio.create_task(self._from_row(group_id, log))
            task.add_done_callback(lambda done: self._opened(key, done))
        share = await asyncio.shield(task)
        if share.log is not log:
            raise NotLeaderOrFollower(f"{log.topic}-{log.index} has moved")
        return share

    def _opened(self, key: tuple[str, int], task: asyncio.Task[Share]) -> None:
        self._opening.pop(key, None)
        if not task.cancelled():
            task.exception()  # or asyncio says on stderr that nobody looked

    async def _from_row(self, group_id: str, log: Log) -> Share:
        key = (log.topic_id, log.index)
        row = await self._metadata.read(lambda tx: shares.find(tx, group_id, key))
        if row is None:
            row = await self._begun(group_id, log)
        share = self._open.get((group_id, log.uid))
        if share is not None and share.log is log and share.state_epoch == row.state_epoch:
            return share
        if share is not None:
            self.drop(share)
        share = Share(group_id, log, row, self._clock.monotonic())
        if self._find(log.uid) is not log:
            raise NotLeaderOrFollower(f"{log.topic}-{log.index} has moved")
        self._open[group_id, log.uid] = share
        return share

    async def _begun(self, group_id: str, log: Log) -> ShareRow:
        """The row of a group that reads this partition for the first time. It is stored at once: what is written from
        now on is the group's, though it should begin with the latest and the leader go. Where it begins is for good, so
        the group's configs are read anew: they may have been set at another broker a moment ago.
        """
        await self._metadata.refresh()
        start = await self._first(log, self._limits(group_id).reset)
        row = ShareRow(start=start, state_epoch=self._clock.wall_ms(), leader_epoch=log.epoch, states=NO_STATES)
        write = self._write(group_id, log, row)
        return await self._metadata.write(lambda tx: shares.begin(tx, write, is_share))

    async def _first(self, log: Log, reset: str) -> int:
        if reset == EARLIEST:
            return log.log_start
        if reset.startswith(BY_DURATION):
            offset, _ = await log.offset_for_time(self._clock.wall_ms() - duration_ms(reset))
            return offset if offset >= 0 else log.high_watermark
        return log.high_watermark

    def terms(self, share: Share) -> Terms:
        """What holds for a window now."""
        limits = self._limits(share.group_id)
        return Terms(lock_s=limits.lock_ms / 1000, deliveries=limits.deliveries, records=limits.records)

    def room(self, share: Share) -> int:
        """Flights that the window may have now."""
        return min(self.terms(share).records, len(share.window.flights) + max(MAX_FLIGHTS - self._flights, 0))

    def drop(self, share: Share) -> None:
        """Forgets a window; its row stays."""
        share.closed = True
        if self._open.get((share.group_id, share.log.uid)) is share:
            del self._open[share.group_id, share.log.uid]
        share.wake()

    # -- what members do ---------------------------------------------------------------------------------------------

    def give(self, share: Share, member: str, found: Found, wanted: int, *, exact: bool) -> list[Acquired]:
        """Records of what was found, for this member for a while."""
        if share.closed:
            return []
        terms = self.terms(share)
        terms = Terms(lock_s=terms.lock_s, deliveries=terms.deliveries, records=self.room(share))
        before = len(share.window.flights)
        given = share.window.acquire(member, found.read, wanted, terms, self._clock.monotonic(), exact=exact)
        self._flights += len(share.window.flights) - before
        return given

    async def acknowledge(self, share: Share, member: str, said: Sequence[Said]) -> None:
        """What became of records. InvalidRecordState, InvalidRequest; NotLeaderOrFollower and the like when it could
        not be stored (law 1).
        """
        if share.window.acknowledge(member, said, self.terms(share), self._clock.monotonic()):
            await self._shielded(self._store(share))

    async def release(self, session: ShareSession) -> None:
        """The member of a session goes: what it holds may be given to others."""
        await self._shielded(self._release(session))

    def gone(self, owner: object) -> None:
        """A connection ended, and with it the sessions that came through it."""
        for session in self.sessions.of(owner):
            self.sessions.end(session.key)
            self._spawn(self._release(session))

    async def _release(self, session: ShareSession) -> None:
        group_id, member = session.key
        for share in self._of(group_id):
            if share.window.release(member, self.terms(share).deliveries):
                await self._store_quietly(share)

    def _of(self, group_id: str) -> Iterable[Share]:
        return [share for (group, _), share in self._open.items() if group == group_id]

    # -- storing -----------------------------------------------------------------------------------------------------

    async def _store(self, share: Share) -> None:
        share.wake()
        try:
            await self._metadata.save_share(self._write(share.group_id, share.log, share.row()))
        except Exception:
            self.drop(share)
            raise

    async def _store_quietly(self, share: Share) -> None:
        """Nobody waits for it: while the store is away, what came back is only known here."""
        share.wake()
        try:
            await self._metadata.save_share(self._write(share.group_id, share.log, share.row()))
        except KafkaStorageError:
            return
        except KafkaError:
            self.drop(share)

    def _write(self, group_id: str, log: Log, row: ShareRow) -> ShareWrite:
        leader = Coordinator(uid=log.uid, owner=self._broker_id, epoch=log.epoch)
        return ShareWrite(group_id=group_id, key=(log.topic_id, log.index), leader=leader, row=row)

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """A client that hangs up must not leave a step half stored."""
        return await asyncio.shield(self._spawn(work))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def wake(waiting: Iterable[asyncio.Future[None]]) -> None:
    """Ends what still waits."""
    for future in waiting:
        if not future.done():
            future.set_result(None)
