"""Who writes to partitions idempotently: of those that are led here, and of those that others lead and say it of.

A replica is asked for that as well as a leader (`kafka-transactions.sh find-hanging --broker-id`), and only the leader
knows. What it does not say within a moment is NOT_LEADER_OR_FOLLOWER, which sends the asker there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import astuple

from broker.errors import NONE, KafkaError, NotLeaderOrFollower
from broker.log.log import Log
from broker.log.producers import ProducerView
from broker.metadata.image import Partition
from broker.metadata.store import Metadata
from broker.peers.client import Peers
from broker.peers.writers import MOST_AT_ONCE, WRITERS, Writer, put_asked, put_told, read_asked, read_told
from broker.wire.cursor import Cursor

_ASK_S = 3.0


class Writers:
    """This broker's view of writers, and its answers to the others."""

    def __init__(self, *, metadata: Metadata, held: Callable[[int], Log | None], peers: Peers) -> None:
        """`held` gives the open log of a uid; `peers` are connections of its own."""
        self._metadata, self._held, self._peers = metadata, held, peers

    async def serve(self, cursor: Cursor) -> bytes:
        """WRITERS v0 of another broker."""
        return put_told([self._here(uid) for uid in read_asked(cursor)])

    def _here(self, uid: int) -> tuple[int, list[Writer]]:
        log = self._held(uid)
        if log is None:
            return NotLeaderOrFollower.code, []
        return NONE, [astuple(view) for view in log.producers.views()]

    async def elsewhere(self, partitions: Sequence[Partition]) -> dict[int, list[ProducerView]]:
        """By uid; without those whose leader did not say."""
        by_owner: defaultdict[int, list[int]] = defaultdict(list)
        for partition in partitions:
            by_owner[partition.owner].append(partition.uid)
        found = await asyncio.gather(*(self._of(owner, uids) for owner, uids in by_owner.items()))
        return {uid: views for some in found for uid, views in some.items()}

    async def close(self) -> None:
        await self._peers.close()

    async def _of(self, owner: int, uids: list[int]) -> dict[int, list[ProducerView]]:
        found: dict[int, list[ProducerView]] = {}
        broker = self._metadata.image.brokers.get(owner)
        if broker is None or not broker.alive:
            return found
        try:
            for first in range(0, len(uids), MOST_AT_ONCE):
                part = uids[first : first + MOST_AT_ONCE]
                told = read_told(await self._peers.ask(broker, WRITERS, 0, put_asked(part), _ASK_S))
                for uid, (error, writers) in zip(part, told, strict=False):
                    if error == NONE:
                        found[uid] = [_view(*writer) for writer in writers]
        except KafkaError:
            return found
        return found


def _view(
    producer_id: int, epoch: int, last_sequence: int, last_ms: int, coordinator_epoch: int, open_since: int
) -> ProducerView:
    return ProducerView(
        producer_id=producer_id,
        epoch=epoch,
        last_sequence=last_sequence,
        last_ms=last_ms,
        coordinator_epoch=coordinator_epoch,
        open_since=open_since,
    )
