"""Real clients at work: producers of unique values, readers that never stop, and a group that commits what it read.

Every value says who wrote it and the how-manieth it is, so that whoever meets it can be held against what was promised.
All of it feeds one `History`. Threads only wait for librdkafka; what they do for a record is a few microseconds, so
that thousands a second cost a fraction of a core.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from tests.chaos.history import History, Place, Session, Value
from tests.watermarks import watermarks

TOPICS = {"once": True, "plain": False}
"""Topic to whether its producers are idempotent."""
PARTITIONS = 6
PLACES = tuple((topic, partition) for topic in TOPICS for partition in range(PARTITIONS))
TICK_S = 0.01
MOST_AT_ONCE = 100
OWED_S = 20.0
"""What an outage held back is made up for afterwards, up to this many seconds of it."""
MOST_OPEN = 1_500
"""Unanswered records of one producer on one partition; then it waits for answers there."""
FILLER = b"." * 80
GROUP = "watchers"
MEMBERS = 2
COMMIT_S = 1.0
GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION)
SETTLE_S = 60.0
"""In calm weather everything is answered within this."""
FOUND_S = 5.0
"""The same, where an anomaly was found already: what was lost can keep clients waiting for ever."""


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


class Reading(threading.Thread):
    """A reader of everything from the beginning; `due` says how far it got."""

    def __init__(self, bootstrap: str, history: History, lock: threading.Lock, name: str = "tail") -> None:
        super().__init__(name=name, daemon=True)
        self._history, self._lock = history, lock
        self.sessions = {place: history.session(name, place) for place in PLACES}
        for session in self.sessions.values():
            session.begins(0)
        self._consumer = Consumer(_reader(bootstrap, name, "error"))
        self._consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in PLACES])
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            messages = self._consumer.consume(2_000, 0.05)
            with self._lock:
                for message in messages:
                    self._take(message)
        self._consumer.close()

    def _take(self, message: Message) -> None:
        place = place_of(message)
        error = message.error()
        if error is None:
            self.sessions[place].saw(message.offset() or 0, code_of(message))
        elif error.code() in (
            KafkaError._AUTO_OFFSET_RESET,
            KafkaError.OFFSET_OUT_OF_RANGE,
            KafkaError._LOG_TRUNCATION,
        ):
            self._history.lost_place(self.name, place, error.str())

    def end(self) -> None:
        self._over.set()
        self.join()


class Member(threading.Thread):
    """One of a group: reads what it is assigned, commits it, and looks at what is committed."""

    def __init__(self, bootstrap: str, history: History, lock: threading.Lock, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._history, self._lock = history, lock
        self._sessions: dict[Place, Session] = {}
        self._consumer = Consumer({**_reader(bootstrap, GROUP, "earliest"), "session.timeout.ms": 10_000})
        self._over = threading.Event()

    def run(self) -> None:
        self._consumer.subscribe(list(TOPICS), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        commit_at = time.monotonic() + COMMIT_S
        while not self._over.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                with self._lock:
                    self._take(message)
            if time.monotonic() > commit_at:
                self._commit()
                commit_at = time.monotonic() + COMMIT_S
        self._consumer.close()

    def _take(self, message: Message) -> None:
        if (session := self._sessions.get(place_of(message))) is not None:
            session.saw(message.offset() or 0, code_of(message))

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            place = (one.topic, one.partition)
            self._sessions[place] = self._history.session(self.name, place, GROUP)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._sessions.clear()

    def _commit(self) -> None:
        reached = {place: session.due for place, session in self._sessions.items() if session.due > 0}
        if not reached:
            return
        for place, offset in reached.items():
            self._history.committing(GROUP, place, offset)
        wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in reached.items()]
        try:
            answers = self._consumer.commit(offsets=wanted, asynchronous=False) or []
        except KafkaException:
            return
        for one in answers:
            if one.error is None:
                self._history.committed(GROUP, (one.topic, one.partition), one.offset)
        try:
            found = self._consumer.committed([TopicPartition(t, p) for t, p in reached], timeout=5)
        except KafkaException:
            return
        for one in found:
            if one.error is None:
                self._history.fetched_commit(GROUP, (one.topic, one.partition), max(one.offset, 0))

    def end(self) -> None:
        self._over.set()
        self.join()


class Workload:
    """All clients of one cluster, and what they saw."""

    def __init__(self, bootstrap: str, per_s: float) -> None:
        self.history = History()
        self._bootstrap, self._lock = bootstrap, threading.Lock()
        self._writing = Writing(bootstrap, self.history, self._lock, per_s)
        self._tail = Reading(bootstrap, self.history, self._lock)
        self._members = [Member(bootstrap, self.history, self._lock, f"member-{n}") for n in range(MEMBERS)]

    def start(self) -> None:
        for thread in (self._writing, self._tail, *self._members):
            thread.start()
        self._writing.go(True)

    def resume(self) -> None:
        self._writing.go(True)

    @property
    def _patience_s(self) -> float:
        return FOUND_S if len(self.history.anomalies) else SETTLE_S

    def open(self, places: Sequence[Place] = PLACES) -> int:
        return self._writing.open(places)

    def settle(self) -> None:
        """Stops writing, waits until all is answered, reads back what is new, and waits for the reader to be there."""
        self._writing.go(False)
        tell, patience_s = self.history.anomalies.add, self._patience_s
        if not wait_until(lambda: self.open() == 0, patience_s):
            stuck = [place for place in PLACES if self.open([place])]
            tell("no answer", f"{self.open()} records are not answered after {patience_s:g} s of calm, on {stuck}")
        self.read_back(from_start=False)
        if not wait_until(lambda: not self._behind(), patience_s):
            tell("reader stuck", f"after {patience_s:g} s of calm the reader is at (is, end): {self._behind()}")

    def _behind(self) -> dict[Place, tuple[int, int]]:
        """Where the reader is and should be, for each partition that it has not read to its end."""
        at = {place: (self._tail.sessions[place].due, self.history.part(place).end) for place in PLACES}
        return {place: (due, end) for place, (due, end) in at.items() if due < end}

    def read_back(self, *, from_start: bool) -> None:
        """Reads every partition to its end with a reader of its own; the ends are then known."""
        consumer = Consumer(_reader(self._bootstrap, "read-back", "error"))
        try:
            ends = {place: self._end_of(consumer, place) for place in PLACES}
            sessions = {place: self.history.session("read-back", place) for place in PLACES}
            for place, session in sessions.items():
                session.begins(0 if from_start else self.history.part(place).end)
            self._read_to(consumer, sessions, ends)
            for place, session in sessions.items():
                self.history.part(place).end = session.due
        except KafkaException as error:
            self.history.anomalies.add("unreadable", str(error))
        finally:
            consumer.close()

    def _end_of(self, consumer: Consumer, place: Place) -> int:
        low, high = watermarks(consumer, *place)
        end = self.history.part(place).end
        if low != 0:
            self.history.anomalies.add("lost", f"{place[0]}-{place[1]} begins at {low}")
        if high < end:
            self.history.anomalies.add("vanished", f"{place[0]}-{place[1]} ended at {end}, now it ends at {high}")
        return high

    def _read_to(self, consumer: Consumer, sessions: Mapping[Place, Session], ends: Mapping[Place, int]) -> None:
        consumer.assign([TopicPartition(*place, one.due) for place, one in sessions.items() if one.due < ends[place]])
        left = {place for place, one in sessions.items() if one.due < ends[place]}
        patience_s = self._patience_s
        deadline = time.monotonic() + patience_s
        while left and time.monotonic() < deadline:
            messages = consumer.consume(2_000, 0.05)
            with self._lock:
                for message in messages:
                    if message.error() is None and message.offset() < ends[place_of(message)]:
                        sessions[place_of(message)].saw(message.offset(), code_of(message))
            if messages:
                deadline = time.monotonic() + patience_s
            left = {place for place in left if sessions[place].due < ends[place]}
        if left:
            text = f"nothing more within {patience_s:g} s at (is, end):"
            self.history.anomalies.add("unreadable", f"{text} { {p: (sessions[p].due, ends[p]) for p in left} }")

    def end(self) -> None:
        for thread in (self._writing, self._tail, *self._members):
            thread.end()


def wait_until(done: Callable[[], bool], seconds: float, every_s: float = 0.05) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


def place_of(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0


def code_of(message: Message) -> int:
    author, sequence, _ = (message.value() or b"0:0:").split(b":", 2)
    return Value(author=int(author), sequence=int(sequence)).code()


def _reader(bootstrap: str, group: str, reset: str) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": reset,
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 200,
        "fetch.min.bytes": 2_000,
        "socket.timeout.ms": 6_000,
        "reconnect.backoff.max.ms": 500,
        "topic.metadata.refresh.interval.ms": 2_000,
        "log_level": 0,
    }
