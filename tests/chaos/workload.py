"""Real clients at work: producers of unique values, readers that never stop, and a group that commits what it read.

All of it feeds one `History`. Threads only wait for librdkafka; what they do for a record is a few microseconds, so
that thousands a second cost a fraction of a core.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos.history import History, Place, Session
from tests.chaos.places import PLACES
from tests.chaos.readers import Member, Reading, code_of, place_of, settings
from tests.chaos.writing import Writing
from tests.watermarks import watermarks

MEMBERS = 2
SETTLE_S = 60.0
"""In calm weather everything is answered within this."""
FOUND_S = 5.0
"""The same, where an anomaly was found already: what was lost can keep clients waiting for ever."""


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
        consumer = Consumer(settings(self._bootstrap, "read-back", "error"))
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
