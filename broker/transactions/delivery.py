"""Markers on their way to the leaders: into this broker's own logs, or to other brokers on the inter-broker listener.

What goes to one broker while an earlier request is under way waits and goes together, so that many small transactions
share few requests and few syncs.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence

from broker.clock import Clock
from broker.errors import (
    NONE,
    InvalidProducerEpoch,
    KafkaError,
    NotLeaderOrFollower,
    RequestTimedOut,
    TransactionCoordinatorFenced,
    code_of,
)
from broker.log import Logs
from broker.metadata import Metadata
from broker.metadata.image import NOBODY
from broker.metadata.transactions import Place
from broker.peers import frames
from broker.peers.client import Peers
from broker.peers.frames import MarkerOrder
from broker.records.markers import Marker
from broker.wire.cursor import Cursor

DURABLE_S = 4.0
"""How long a leader waits for its WAL before it says that it does not know."""
ASK_S = 5.0
_TOGETHER = 1_000
"""Orders in one request at most."""


class Marking:
    """A leader's side: writes markers into the logs it has open."""

    def __init__(self, logs: Logs, clock: Clock) -> None:
        self._logs, self._clock = logs, clock

    async def write(self, orders: Sequence[MarkerOrder]) -> list[int]:
        """Per partition, in the order of the orders, 0 or why not. All that were appended share the wait."""
        started = [self._mark(order.marker, uid) for order in orders for uid in order.uids]
        waiting = [one for one in started if isinstance(one, asyncio.Future)]
        if waiting:
            await asyncio.wait(waiting, timeout=DURABLE_S)
        return [one if isinstance(one, int) else _code(one) for one in started]

    def _mark(self, marker: Marker, uid: int) -> asyncio.Future[None] | int:
        log = self._logs.find(uid)
        if log is None:
            return NotLeaderOrFollower.code
        try:
            return log.mark(marker, self._clock.wall_ms())
        except KafkaError as error:
            return error.code

    async def serve(self, cursor: Cursor) -> bytes:
        """WRITE_MARKERS v0 of another broker."""
        return frames.codes(await self.write(frames.read_markers(cursor)))


def _code(done: asyncio.Future[None]) -> int:
    if not done.done():
        return RequestTimedOut.code
    error = done.exception()
    return NONE if error is None else code_of(error)


class Delivery:
    """A coordinator's side."""

    def __init__(self, *, metadata: Metadata, marking: Marking, peers: Peers, broker_id: int) -> None:
        self._metadata, self._marking, self._peers, self._id = metadata, marking, peers, broker_id
        self._outboxes: dict[int, Outbox] = {}

    async def deliver(self, marker: Marker, places: Collection[Place]) -> bool:
        """One try to have the marker in every partition; whether any is left. What was deleted needs none, and where
        the producer's epoch was overtaken nothing is open. TransactionCoordinatorFenced when somebody else coordinates.
        """
        image = self._metadata.image
        found = [partition for topic, index in places if (partition := image.partition(topic, index)) is not None]
        by_owner: defaultdict[int, list[int]] = defaultdict(list)
        for partition in found:
            by_owner[partition.owner].append(partition.uid)
        nobody = bool(by_owner.pop(NOBODY, None))
        orders = [self._send(owner, MarkerOrder(marker=marker, uids=tuple(uids))) for owner, uids in by_owner.items()]
        codes = {code for some in await asyncio.gather(*orders) for code in some}
        if TransactionCoordinatorFenced.code in codes:
            raise TransactionCoordinatorFenced(f"another coordinator than that of epoch {marker.coordinator_epoch}")
        return nobody or bool(codes - {NONE, InvalidProducerEpoch.code})

    async def _send(self, owner: int, order: MarkerOrder) -> list[int]:
        if owner == self._id:
            return await self._marking.write([order])
        if owner not in self._outboxes:
            self._outboxes[owner] = Outbox(lambda orders: self._ask(owner, orders))
        return await self._outboxes[owner].put(order)

    async def _ask(self, owner: int, orders: Sequence[MarkerOrder]) -> list[int]:
        broker = self._metadata.image.brokers.get(owner)
        partitions = sum(len(order.uids) for order in orders)
        if broker is None or not broker.alive:
            return [NotLeaderOrFollower.code] * partitions
        try:
            cursor = await self._peers.ask(broker, frames.WRITE_MARKERS, 0, frames.markers(orders), ASK_S)
            return frames.read_codes(cursor)
        except KafkaError:
            return [RequestTimedOut.code] * partitions

    async def stop(self) -> None:
        for outbox in self._outboxes.values():
            await outbox.stop()
        await self._peers.close()


class Outbox:
    """What goes to one broker, one request at a time."""

    def __init__(self, send: Callable[[Sequence[MarkerOrder]], Awaitable[list[int]]]) -> None:
        self._send = send
        self._waiting: list[tuple[MarkerOrder, asyncio.Future[list[int]]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def put(self, order: MarkerOrder) -> list[int]:
        """The codes of its partitions."""
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, answer))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._empty())
        return await answer

    async def _empty(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            codes = await self._send([order for order, _ in taken])
            at = 0
            for order, answer in taken:
                if not answer.done():
                    answer.set_result(codes[at : at + len(order.uids)])
                at += len(order.uids)

    async def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
