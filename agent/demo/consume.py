"""The groups that follow the topics: one process, one confluent-kafka consumer per group.

Runs in a spawned process and talks over a pipe: it sends records read every second, and leaves every group on "stop".
"""

from __future__ import annotations

import signal
import time
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import Consumer

from agent.demo.scenario import Scenario
from agent.demo.workers import told_to_stop

POLL_S = 0.1
STOPS_AFTER_S = 12.0
"""How long the reader that stops reads first, so that it has committed offsets to fall behind."""


class GroupReader:
    """One member, alone in its group."""

    def __init__(self, bootstrap: str, group: str, client_id: str, topic: str) -> None:
        self.records = 0
        self._consumer: Consumer | None = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "client.id": client_id,
                "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 2000,
                "fetch.wait.max.ms": 500,
                "fetch.min.bytes": 65_536,
                "queued.max.messages.kbytes": 16_384,
                "log_level": 2,
            }
        )
        self._consumer.subscribe([topic])

    def read(self) -> None:
        """Takes what has arrived; never waits."""
        if self._consumer is not None:
            messages = self._consumer.consume(1000, timeout=0)
            self.records += sum(1 for message in messages if message.error() is None)

    def leave(self) -> None:
        """Commits and leaves the group."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def run(bootstrap: str, scenario: Scenario, pipe: Connection[Any, Any]) -> None:
    """The process's main: reads until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    side = scenario.side_reader
    stopping = GroupReader(bootstrap, side.group, side.consumer, side.topic)
    readers = [GroupReader(bootstrap, item.group, item.consumer, item.topic) for item in scenario.traffic]
    readers.append(stopping)
    start: float | None = None
    told = time.monotonic()
    while not told_to_stop(pipe, POLL_S):
        for reader in readers:
            reader.read()
        now = time.monotonic()
        start = now if start is None and stopping.records else start
        if side.stops and start is not None and now - start > STOPS_AFTER_S:
            stopping.leave()
        if now - told >= 1.0:
            told = now
            pipe.send(sum(reader.records for reader in readers))
    for reader in readers:
        reader.leave()
