"""Telling other brokers to look at the metadata now instead of at their next poll, and asking whether they are there at
all. Both only make things faster: who is not reached finds out by itself (law 9), who is gone falls silent (law 11).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Mapping

from broker.errors import KafkaError
from broker.metadata.image import Broker, Image
from broker.peers.client import Peers

OPENED_S = 0.5
"""How long a handover waits for the word that the new owner has the partition open."""
NEW_S = 2.0
"""How long one who asked for new partitions waits until their leaders have them open: some clients write the whole of a
batch again when one of its partitions is not known yet, so an early answer costs more than a late one.
"""
LOOK_S = 1.0
KNOCK_S = 0.3
"""A look at the metadata waits for it, so it is well below what counts as a stalled observer."""

Spawn = Callable[[Coroutine[object, object, None]], object]


class Neighbours:
    """The other live brokers of an image. Without `peers` nobody is told."""

    def __init__(self, peers: Peers | None, broker_id: int, spawn: Spawn) -> None:
        self._peers, self._id, self._spawn = peers, broker_id, spawn

    async def tell(self, image: Image, opened: Mapping[int, Collection[int]], patience_s: float = OPENED_S) -> None:
        """Tells all; returns when each broker in `opened` has those uids open, or `patience_s` is over."""
        if self._peers is None:
            return
        waiting = []
        for broker in image.alive():
            if broker.id != self._id:
                done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._spawn(self._look(self._peers, broker, image.version, opened.get(broker.id, ()), done, patience_s))
                if broker.id in opened:
                    waiting.append(done)
        if waiting:
            await asyncio.wait(waiting, timeout=patience_s)

    async def absent(self, brokers: Collection[Broker]) -> frozenset[int]:
        """Those at whose address nobody listens."""
        if self._peers is None or not brokers:
            return frozenset()
        peers = self._peers
        answers = await asyncio.gather(*(peers.is_absent(broker, KNOCK_S) for broker in brokers))
        return frozenset(broker.id for broker, gone in zip(brokers, answers, strict=True) if gone)

    async def _look(
        self,
        peers: Peers,
        broker: Broker,
        version: int,
        uids: Collection[int],
        done: asyncio.Future[None],
        patience_s: float,
    ) -> None:
        try:
            with contextlib.suppress(KafkaError):
                await peers.look(broker, version, uids, max(LOOK_S, patience_s))
        finally:
            if not done.done():
                done.set_result(None)
