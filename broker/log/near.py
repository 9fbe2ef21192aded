"""Reading near (KIP-392): consumers of this broker's zone read tails here that brokers of other zones lead.

1. Each tail crosses zones once, however many read it: one question at a time to each leader, for all tails that are
   read here. Tails nobody asked for in a minute are let go.
2. Nothing is served that the leader would not: its answers end at its own marks, and its marks are what is told.
3. What this broker cannot do, the leader does: NOT_LEADER_OR_FOLLOWER sends the reader back, when the leadership is
   over, the leader does not answer, or there are too many tails. The leader does not send it here again soon.
4. All tails together hold MAX_BYTES, the longest held batch going first (law 12). What is asked for and not held
   (a reader that was away) is read from the leader and not kept.
"""

from __future__ import annotations

import asyncio
from collections import deque

from broker.clock import Clock
from broker.errors import KafkaError, NotLeaderOrFollower, OffsetOutOfRange
from broker.log.answers import Slice
from broker.log.near_tail import NearTail
from broker.log.ownership import not_leader
from broker.metadata.image import Image, Partition
from broker.metadata.store import Metadata
from broker.peers.client import Peers, PeerUnavailable
from broker.peers.tails import MAX_BYTES as MOST_AT_ONCE
from broker.peers.tails import TAIL, AskedTail, ToldTail, put_asked, read_told

MAX_BYTES = 32 * 1024 * 1024
MAX_TAILS = 2000
_WAIT_MS = 200
_ANSWER_S = 3.0
_IDLE_S = 60.0
Key = tuple[int, int, bool]
"""uid, leader epoch, committed."""


class Near:
    """The tails of other zones, in one broker."""

    def __init__(self, *, metadata: Metadata, clock: Clock, broker_id: int, peers: Peers) -> None:
        """`peers` are connections of its own: a question that waits must not hold up others."""
        self._metadata, self._clock, self._id, self._peers = metadata, clock, broker_id, peers
        self._tails: dict[Key, NearTail] = {}
        self._pollers: dict[int, asyncio.Task[None]] = {}
        self._order: deque[NearTail] = deque()
        """Who holds how much, a mark per batch, the longest held first."""
        self._picture: Image | None = None
        self._leaders: dict[int, tuple[int, int]] = {}
        self.held_bytes = 0
        self.fetched_bytes = 0
        """From leaders, ever."""

    def log(self, partition: Partition, *, committed: bool) -> NearLog:
        """What can be read as the leader's log is. NotLeaderOrFollower where this broker is no replica of it."""
        owner = self._metadata.image.brokers.get(partition.owner)
        if self._id not in partition.replicas or owner is None or not owner.alive or owner.id == self._id:
            raise not_leader(partition)
        return NearLog(self, partition, committed)

    async def read(self, partition: Partition, offset: int, max_bytes: int, *, min_one: bool, committed: bool) -> Slice:
        """From what is held, or from the leader."""
        tail = self._tail(partition, offset, committed)
        tail.used_s = self._clock.monotonic()
        if not tail.first_answer.done():
            await asyncio.wait((tail.first_answer,), timeout=_ANSWER_S)
        if tail.gone is not None or not tail.first_answer.done():
            raise not_leader(partition)
        if tail.holds(offset) or not (max_bytes > 0 or min_one):
            return tail.read(offset, max_bytes, min_one=min_one)
        return await self._pass_on(partition, offset, max_bytes, committed)

    def tell(self, partition: Partition, offset: int, future: asyncio.Future[None], *, committed: bool) -> None:
        """Ends the future when there may be something at `offset`."""
        tail = self._tails.get((partition.uid, partition.epoch, committed))
        if tail is None:
            if not future.done():
                future.set_result(None)
            return
        tail.tell(offset, future)

    async def stop(self) -> None:
        pollers = list(self._pollers.values())
        for poller in pollers:
            poller.cancel()
        await asyncio.gather(*pollers, return_exceptions=True)
        await self._peers.close()

    def _tail(self, partition: Partition, offset: int, committed: bool) -> NearTail:
        key = (partition.uid, partition.epoch, committed)
        tail = self._tails.get(key)
        if tail is None:
            if len(self._tails) >= MAX_TAILS:
                raise not_leader(partition)
            now = self._clock.monotonic()
            tail = NearTail(partition.uid, partition.epoch, committed=committed, start=offset, now=now)
            self._tails[key] = tail
        owner = partition.owner
        if owner not in self._pollers:
            self._pollers[owner] = asyncio.create_task(self._poll(owner))
            self._pollers[owner].add_done_callback(lambda _: self._pollers.pop(owner, None))
        return tail

    async def _pass_on(self, partition: Partition, offset: int, max_bytes: int, committed: bool) -> Slice:
        """One read at the leader, not kept."""
        asked = AskedTail(
            uid=partition.uid, committed=committed, epoch=partition.epoch, offset=offset, max_bytes=max_bytes
        )
        try:
            (told,) = await self._ask(partition.owner, 0, [asked])
        except PeerUnavailable as error:
            raise not_leader(partition) from error
        if told.error == OffsetOutOfRange.code:
            raise OffsetOutOfRange(f"offset {offset} of {partition.topic}-{partition.index}, says its leader")
        if told.error:
            raise not_leader(partition)
        return Slice(
            data=[told.records] if told.records else [],
            high_watermark=told.high_watermark,
            last_stable=told.last_stable,
            log_start=told.log_start,
            aborted=tuple((producer, first) for producer, first, _ in told.aborted),
        )

    async def _ask(self, leader: int, wait_ms: int, asked: list[AskedTail]) -> list[ToldTail]:
        broker = self._metadata.image.brokers.get(leader)
        if broker is None:
            raise PeerUnavailable(f"broker {leader} is not there any more")
        cursor = await self._peers.ask(broker, TAIL, 0, put_asked(wait_ms, asked), wait_ms / 1000 + _ANSWER_S)
        told = read_told(cursor)
        self.fetched_bytes += sum(len(each.records) for each in told)
        return told

    async def _poll(self, leader: int) -> None:
        """Goes on while somebody reads what that broker leads."""
        turn = 0
        while tails := self._of(leader):
            turn += 1
            start = turn % len(tails)
            asked = [
                AskedTail(uid=t.uid, committed=t.committed, epoch=t.epoch, offset=t.end, max_bytes=MOST_AT_ONCE)
                for t in tails[start:] + tails[:start]
            ]
            try:
                told = await self._ask(leader, _WAIT_MS, asked)
            except PeerUnavailable as error:
                for tail in tails:
                    self._close(tail, error)
                return
            by_key = {(each.uid, each.committed): each for each in told}
            for tail in tails:
                self._take(tail, by_key.get((tail.uid, tail.committed)))

    def _of(self, leader: int) -> list[NearTail]:
        """The tails of that leader that are still read; the others are let go."""
        led = self._led()
        old = self._clock.monotonic() - _IDLE_S
        found = []
        for tail in list(self._tails.values()):
            now_led = led.get(tail.uid)
            if tail.used_s <= old or now_led is None or now_led[1] != tail.epoch:
                self._close(tail, NotLeaderOrFollower("nobody reads it, or another broker leads it"))
            elif now_led[0] == leader:
                found.append(tail)
        return found

    def _led(self) -> dict[int, tuple[int, int]]:
        """uid to (owner, epoch), once per picture of the cluster: there may be many partitions."""
        image = self._metadata.image
        if self._picture is not image:
            everything = (partition for topic in image.topics.values() for partition in topic.partitions)
            self._leaders = {partition.uid: (partition.owner, partition.epoch) for partition in everything}
            self._picture = image
        return self._leaders

    def _take(self, tail: NearTail, told: ToldTail | None) -> None:
        if told is None or told.error:
            self._close(tail, NotLeaderOrFollower("its leader does not lead it any more"))
            return
        before = len(tail)
        self.held_bytes += tail.take(told)
        self._order.extend([tail] * (len(tail) - before))
        while self.held_bytes > MAX_BYTES and self._order:
            self.held_bytes -= self._order.popleft().drop_oldest()

    def _close(self, tail: NearTail, why: KafkaError) -> None:
        self.held_bytes -= tail.close(why)
        self._tails.pop((tail.uid, tail.epoch, tail.committed), None)
        self._order = deque(each for each in self._order if each is not tail)


class NearLog:
    """One partition, as the fetch of one reader sees it: what of a `Log` it needs."""

    __slots__ = ("_committed", "_near", "_partition", "epoch")

    def __init__(self, near: Near, partition: Partition, committed: bool) -> None:
        self._near, self._partition, self._committed = near, partition, committed
        self.epoch = partition.epoch

    async def read(self, offset: int, max_bytes: int, *, min_one: bool, committed: bool = False) -> Slice:
        return await self._near.read(self._partition, offset, max_bytes, min_one=min_one, committed=committed)

    def tell(self, offset: int, future: asyncio.Future[None], *, committed: bool = False) -> None:
        self._near.tell(self._partition, offset, future, committed=committed)
