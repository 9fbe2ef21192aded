"""Readers that never stop, and members of a group that commit what they read."""

from __future__ import annotations

import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from tests.chaos.history import History, Place, Session, Value
from tests.chaos.places import PLACES, TOPICS

GROUP = "watchers"
COMMIT_S = 1.0
GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION)


class Reading(threading.Thread):
    """A reader of everything from the beginning; `due` says how far it got."""

    def __init__(self, bootstrap: str, history: History, lock: threading.Lock, name: str = "tail") -> None:
        super().__init__(name=name, daemon=True)
        self._history, self._lock = history, lock
        self.sessions = {place: history.session(name, place) for place in PLACES}
        for session in self.sessions.values():
            session.begins(0)
        self._consumer = Consumer(settings(bootstrap, name, "error"))
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
        elif error.code() in GONE:
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
        self._consumer = Consumer({**settings(bootstrap, GROUP, "earliest"), "session.timeout.ms": 10_000})
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


def place_of(message: Message) -> Place:
    return message.topic() or "", message.partition() or 0


def code_of(message: Message) -> int:
    author, sequence, _ = (message.value() or b"0:0:").split(b":", 2)
    return Value(author=int(author), sequence=int(sequence)).code()


def settings(bootstrap: str, group: str, reset: str) -> dict[str, str | int | bool]:
    """Of a consumer that finds out soon what happens."""
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
