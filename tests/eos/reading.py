"""Readers of the output: what a read_committed consumer sees must be the input, transformed, in order, once each."""

from __future__ import annotations

import threading
import time
from collections import Counter

from confluent_kafka import Consumer, TopicPartition

from tests.eos.worker import DONE, DOOMED

PARTITIONS = 3
_FAULTS_KEPT = 20


class Reader(threading.Thread):
    """Follows "out" from its start."""

    def __init__(self, bootstrap: str, *, isolation: str = "read_committed") -> None:
        super().__init__(daemon=True)
        self.next = Counter(dict.fromkeys(range(PARTITIONS), 0))
        """Per partition, the number that must come next: how many came."""
        self.doomed = 0
        self.faults: list[str] = []
        self._isolation = isolation
        self._address = bootstrap
        self._ended = threading.Event()

    def run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._address,
                "group.id": f"reader-{self._isolation}",
                "isolation.level": self._isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition("out", index, 0) for index in range(PARTITIONS)])
        while not self._ended.is_set():
            for message in consumer.consume(500, timeout=0.2):
                if message.error() is None:
                    self.see(message.partition() or 0, message.offset() or 0, message.value() or b"")
        consumer.close()

    def see(self, partition: int, offset: int, value: bytes) -> None:
        """One record. Who reads uncommitted only counts the doomed."""
        if value.startswith(DOOMED):
            self.doomed += 1
            if self._isolation == "read_committed":
                self._fault(f"out-{partition} at {offset}: {value!r} was aborted, and a read_committed consumer saw it")
            return
        if self._isolation != "read_committed":
            return
        number = int(value.removeprefix(DONE))
        due = self.next[partition]
        if number != due:
            word = "a duplicate or out of order" if number < due else "a gap"
            self._fault(f"out-{partition} at {offset}: {number} where {due} is due: {word}")
        self.next[partition] = number + 1

    def _fault(self, text: str) -> None:
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append(text)

    def reached(self, sent: Counter[int], within_s: float) -> bool:
        """Whether everything that was sent has come, within the time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if all(self.next[index] >= sent[index] for index in range(PARTITIONS)):
                return True
            time.sleep(0.2)
        return False

    def stop(self) -> None:
        self._ended.set()
        self.join(timeout=20)
