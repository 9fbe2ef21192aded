"""Classic groups with real clients: members that give up only what they must, and static ones that come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer

from tests.broker.api.asking import create
from tests.broker.api.conftest import Broker, Wire


class Reader:
    """A consumer, and what it was given and had to give up."""

    def __init__(self, address: str, instance: str) -> None:
        self.given: list[int] = []
        self.taken: list[int] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "g",
                "group.instance.id": instance,
                "partition.assignment.strategy": "cooperative-sticky",
                "heartbeat.interval.ms": 200,
                "session.timeout.ms": 20_000,
            }
        )
        self._consumer.subscribe(["t"], on_assign=self._assigned, on_revoke=self._revoked)

    def _assigned(self, _: Any, parts: list[Any]) -> None:
        self.given += [part.partition for part in parts]

    def _revoked(self, _: Any, parts: list[Any]) -> None:
        self.taken += [part.partition for part in parts]

    @property
    def share(self) -> int:
        return len(self._consumer.assignment())

    def poll(self) -> None:
        self._consumer.poll(0.05)

    def close(self) -> None:
        self._consumer.close()


def until(holds: Callable[[], bool], *readers: Reader) -> None:
    """Everyone polls until it holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, [(each.share, each.given, each.taken) for each in readers]
        for each in readers:
            each.poll()


def live(address: str) -> tuple[int, list[int], list[int]]:
    """Two members, of whom the second goes and comes back as itself: how many partitions the first gave up, and what
    the second had before and after."""
    first = Reader(address, "one")
    until(lambda: first.share == 4, first)
    second = Reader(address, "two")
    until(lambda: first.share == second.share == 2, first, second)
    assert len(first.taken) == 2, "it kept the others all the time"
    second.close()
    back = Reader(address, "two")
    until(lambda: back.share == 2, first, back)
    seen = len(first.taken), sorted(second.given), sorted(back.given)
    first.close()
    back.close()
    return seen


async def test_cooperative_members_move_the_least_and_static_ones_nothing(broker: Broker, wire: Wire) -> None:
    await create(wire, "t", partitions=4)
    given_up, before, after = await asyncio.to_thread(live, broker.address)
    assert (given_up, after) == (2, before), "nobody had to move"
