"""The other brokers: how this one asks them, and what it answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

from broker.clock import Clock
from broker.log import Logs
from broker.log.near import Near
from broker.log.near_serving import TailServer
from broker.log.writers import Writers
from broker.metadata import Metadata
from broker.peers import frames
from broker.peers.client import Peers
from broker.peers.server import PeerServer, looking
from broker.peers.tails import MAX_FRAME_BYTES, TAIL
from broker.peers.writers import MAX_FRAME_BYTES as WRITERS_BYTES
from broker.peers.writers import WRITERS
from broker.security.peer_tls import PeerTls
from broker.transactions.delivery import Marking


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Lines of their own, so that a slow answer of one kind keeps no other waiting."""

    hints: Peers
    markers: Peers
    near: Near
    writers: Writers
    server: PeerServer
    tls: PeerTls | None

    async def keep_tls(self, clock: Clock) -> None:
        """Takes up certificates that change."""
        if self.tls is not None:
            await self.tls.run(clock)

    async def stop(self) -> None:
        await self.server.stop()
        await self.near.stop()
        await asyncio.gather(self.hints.close(), self.markers.close(), self.writers.close())


def meet(
    *,
    secret: bytes,
    broker_id: int,
    tls: PeerTls | None,
    metadata: Metadata,
    clock: Clock,
    logs: Callable[[], Logs],
    sent_near: Callable[[int], None],
) -> Neighbours:
    """`logs` is asked for with each question: they are made later."""

    def lines(most_bytes: int = frames.MAX_FRAME_BYTES) -> Peers:
        context = (lambda: tls.asker) if tls is not None else None
        return Peers(secret, broker_id, os.urandom, most_bytes=most_bytes, tls=context)

    handlers = {(frames.LOOK, 0): looking(lambda version, uids: logs().look(version, uids))}
    handlers[frames.WRITE_MARKERS, 0] = lambda cursor: Marking(logs(), clock).serve(cursor)
    writers = Writers(metadata=metadata, held=lambda uid: logs().find(uid), peers=lines(WRITERS_BYTES))
    handlers[WRITERS, 0] = writers.serve
    handlers[TAIL, 0] = TailServer(lambda uid: logs().find(uid), sent_near).serve
    return Neighbours(
        hints=lines(),
        markers=lines(),
        near=Near(metadata=metadata, clock=clock, broker_id=broker_id, peers=lines(MAX_FRAME_BYTES)),
        writers=writers,
        server=PeerServer(secret, handlers, os.urandom, tls=tls.answerer if tls is not None else None),
        tls=tls,
    )
