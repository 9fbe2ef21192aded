"""Producers of unique values, at a rate that makes up for pauses. Every value says who wrote it and the how-manieth it
is, so that whoever meets it can be held against what was promised.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from tests.chaos.history import History, Place, Value
from tests.chaos.places import PARTITIONS, TOPICS

TICK_S = 0.01
MOST_AT_ONCE = 100
OWED_S = 20.0
"""What an outage held back is made up for afterwards, up to this many seconds of it."""
MOST_OPEN = 1_500
"""Unanswered records of one producer on one partition; then it waits for answers there."""
FILLER = b"." * 80


@dataclass(frozen=True, kw_only=True)
class Temper:
    """How patient a producer is with one request: a zombie may answer late only to one who still waits."""

    topic: str
    socket_timeout_ms: int


TEMPERS = (
    Temper(topic="once", socket_timeout_ms=5_000),
    Temper(topic="once", socket_timeout_ms=40_000),
    Temper(topic="plain", socket_timeout_ms=5_000),
    Temper(topic="plain", socket_timeout_ms=40_000),
)


class Author:
    """One producer. Used by one thread."""

    def __init__(self, bootstrap: str, number: int, temper: Temper, history: History) -> None:
        self.number, self.temper = number, temper
        self.idempotent = TOPICS[temper.topic]
        self.open: Counter[int] = Counter()
        """By partition: sent, and neither acknowledged nor given up."""
        self.broken = False
        self._history = history
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": self.idempotent,
                "linger.ms": 10,
                "retries": 1_000_000,
                "delivery.timeout.ms": 120_000,
                "socket.timeout.ms": temper.socket_timeout_ms,
                "request.timeout.ms": temper.socket_timeout_ms,
                "retry.backoff.ms": 50,
                "retry.backoff.max.ms": 500,
                "reconnect.backoff.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 2_000,
                "log_level": 0,
                "error_cb": self._failed,
            }
        )

    def _failed(self, error: KafkaError) -> None:
        """What concerns the client as a whole; the fate of each record is told to `answered`."""
        self.broken |= error.fatal()

    def send(self, partition: int) -> bool:
        """One value; whether there was room for it."""
        if self.open[partition] >= MOST_OPEN or self.broken:
            return False
        place = (self.temper.topic, partition)
        written = self._history.author(place, self.number, idempotent=self.idempotent)
        value = Value(author=self.number, sequence=written.sent())

        def answered(error: KafkaError | None, message: Message) -> None:
            self.open[partition] -= 1
            if error is None:
                offset = message.offset()
                self._history.acknowledged(place, value, offset if offset is not None and offset >= 0 else -1)
                return
            self._history.gave_up(place, value, error.str())

        self.open[partition] += 1
        try:
            text = b"%d:%d:%s" % (self.number, value.sequence, FILLER)
            self._producer.produce(place[0], text, partition=partition, on_delivery=answered)
        except (BufferError, KafkaException):
            written.states.pop()
            self.open[partition] -= 1
            return False
        return True

    def poll(self, seconds: float) -> None:
        try:
            self._producer.poll(seconds)
        except KafkaException:
            self.broken = True


class Writing(threading.Thread):
    """Drives all producers at a rate that makes up for pauses."""

    def __init__(self, bootstrap: str, history: History, lock: threading.Lock, per_s: float) -> None:
        super().__init__(name="writing", daemon=True)
        self._servers, self._history, self._lock, self._per_s = bootstrap, history, lock, per_s
        self._numbers = count(1)
        self.authors = [self._author(temper) for temper in TEMPERS]
        self._going, self._over = threading.Event(), threading.Event()
        self._partition = 0

    def _author(self, temper: Temper) -> Author:
        return Author(self._servers, next(self._numbers), temper, self._history)

    def open(self, places: Sequence[Place]) -> int:
        """Records on the way to these places, at this moment."""
        return sum(a.open[p] for a in list(self.authors) for t, p in places if t == a.temper.topic)

    def go(self, on: bool) -> None:
        (self._going.set if on else self._going.clear)()

    def end(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        last, owed = time.monotonic(), 0.0
        while not self._over.is_set():
            now = time.monotonic()
            if self._going.is_set():
                owed = min(owed + (now - last) * self._per_s, self._per_s * OWED_S)
                owed -= self._send(min(int(owed), MOST_AT_ONCE))
            last = now
            with self._lock:
                for author in self.authors:
                    author.poll(0)
            self._replace_broken()
            time.sleep(TICK_S)

    def _send(self, wanted: int) -> int:
        sent = refused = 0
        while sent < wanted and refused < len(self.authors) * PARTITIONS:
            author = self.authors[self._partition % len(self.authors)]
            if author.send(self._partition // len(self.authors) % PARTITIONS):
                sent, refused = sent + 1, 0
            else:
                refused += 1
            self._partition += 1
        return sent

    def _replace_broken(self) -> None:
        for at, author in enumerate(self.authors):
            if author.broken and not author.open.total():
                self.authors[at] = self._author(author.temper)
