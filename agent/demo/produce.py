"""The producers: one process, one confluent-kafka producer per topic, each partition at its rate.

Runs in a spawned process and talks over a pipe: it sends `Progress` every second, and on "stop" (or when the parent is
gone) flushes and sends the `Sent` of each partition.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from agent.demo.ledger import Sent
from agent.demo.pace import Due, Pacer
from agent.demo.payload import Payloads, read_mark
from agent.demo.scenario import Scenario, Traffic
from agent.demo.workers import told_to_stop

TICK_S = 0.02
FLUSH_S = 30.0
LINGER_MS = 100
"""A partition of 0.2 MB/s fills 20 KB of a batch in that time."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What the clients have done so far."""

    records: int
    bytes: int
    """On the wire, as planned."""
    failed: int
    last_error: str


class TopicProducer:
    """One client writing one topic."""

    def __init__(self, bootstrap: str, traffic: Traffic, rng: random.Random) -> None:
        self.pacer = Pacer(traffic, rng)
        self.records = self.bytes = 0
        self.refused: dict[int, set[int]] = {stream.partition: set() for stream in traffic.streams}
        self.last_error = ""
        self._compressed = traffic.codec != "none"
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": traffic.producer,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": traffic.codec,
                "linger.ms": LINGER_MS,
                "batch.size": 262_144,
                "queue.buffering.max.kbytes": 65_536,
                "delivery.timeout.ms": 120_000,
                "log_level": 2,
            }
        )

    def send_due(self, elapsed_s: float, payloads: Payloads) -> None:
        """Sends what `elapsed_s` has earned and takes acknowledgements."""
        for due in self.pacer.due(elapsed_s, _sizes(payloads)):
            value = payloads.value(due.mark, due.wire_bytes, compressed=self._compressed)
            self._send(due, value)
            self.records += 1
            self.bytes += due.wire_bytes
        self._producer.poll(0)

    def _send(self, due: Due, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(due.topic, value, due.key, partition=due.partition, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        mark, partition = read_mark(message.value()), message.partition()
        if mark is not None and partition is not None:
            self.refused[partition].add(mark.sequence)
        self.last_error = error.str()

    def finish(self, seconds: float) -> list[Sent]:
        """Waits until all is answered; what is not answered by then counts as never acknowledged."""
        left = self._producer.flush(seconds)
        if left:
            self._producer.purge()
            self._producer.flush(1.0)
        return [
            Sent(
                topic=self.pacer.traffic.topic,
                partition=partition,
                records=records,
                refused=frozenset(self.refused[partition]),
            )
            for partition, records in self.pacer.sent.items()
        ]


def _sizes(payloads: Payloads) -> Iterator[int]:
    while True:
        yield payloads.size()


def run(bootstrap: str, scenario: Scenario, pipe: Connection[Any, Any]) -> None:
    """The process's main: sends until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = random.Random(f"load of {scenario.seed}")
    payloads = Payloads(rng)
    producers = [TopicProducer(bootstrap, traffic, rng) for traffic in scenario.traffic]
    then = told = time.monotonic()
    while not told_to_stop(pipe, TICK_S):
        now = time.monotonic()
        for producer in producers:
            producer.send_due(now - then, payloads)
        then = now
        if now - told >= 1.0:
            told = now
            pipe.send(_progress(producers))
    deadline = time.monotonic() + FLUSH_S
    sent = [part for producer in producers for part in producer.finish(max(1.0, deadline - time.monotonic()))]
    pipe.send(_progress(producers))
    pipe.send(sent)


def _progress(producers: list[TopicProducer]) -> Progress:
    return Progress(
        records=sum(producer.records for producer in producers),
        bytes=sum(producer.bytes for producer in producers),
        failed=sum(len(refused) for producer in producers for refused in producer.refused.values()),
        last_error=next((producer.last_error for producer in producers if producer.last_error), ""),
    )
