"""Numbered records at a rate, from a process of its own, and what became of each: for bars that must show that nothing
was lost.

`python -m tests.bars.numbered BOOTSTRAP TOPIC PARTITIONS MB_PER_S FILE` writes until SIGTERM, then prints one JSON
line; FILE gets a byte for each record, 1 when it was acknowledged.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from tests.watermarks import watermarks

RECORD_BYTES = 10_000
TICK_S = 0.02


@dataclass(kw_only=True)
class Written:
    """What a writer was promised: per record whether it was acknowledged, and bytes acknowledged by second."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    acked: bytearray = field(default_factory=bytearray)
    bytes_by_second: dict[int, int] = field(default_factory=dict)


def write(bootstrap: str, topic: str, partitions: int, mb_per_s: float, over: threading.Event) -> Written:
    """Numbered records to all partitions in turn, at most at the rate; what could not be sent is not made up."""
    done = Written()
    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 10, "log_level": 0,
        "message.timeout.ms": 600_000, "queue.buffering.max.kbytes": 32 * 1024, "queue.buffering.max.messages": 10_000,
        "retry.backoff.max.ms": 500, "reconnect.backoff.max.ms": 500,
    })  # fmt: skip
    filler = os.urandom(RECORD_BYTES - 8)

    def delivered(error: Any, message: Any) -> None:
        if error is not None:
            done.failed.append(str(error))
            return
        done.acked[int.from_bytes(message.value()[:8], "big")] = 1
        second = int(time.time())
        done.bytes_by_second[second] = done.bytes_by_second.get(second, 0) + RECORD_BYTES

    tokens, at = 0.0, time.monotonic()
    while not over.is_set():
        now = time.monotonic()
        tokens, at = min(tokens + (now - at) * mb_per_s * 1e6 / RECORD_BYTES, mb_per_s * 1e6 / RECORD_BYTES / 4), now
        while tokens >= 1 and not over.is_set():
            try:
                producer.produce(
                    topic,
                    done.sent.to_bytes(8, "big") + filler,
                    partition=done.sent % partitions,
                    on_delivery=delivered,
                )
            except BufferError:
                producer.poll(TICK_S)
                continue
            done.acked.append(0)
            done.sent += 1
            tokens -= 1
        producer.poll(TICK_S)
    unsent = producer.flush(120)
    if unsent:
        done.failed.append(f"{unsent} records were neither acknowledged nor refused")
    return done


class Writer:
    """`write` in a process of its own."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, mb_per_s: float, acked: Path) -> None:
        self._acked = acked
        what = (bootstrap, topic, str(partitions), str(mb_per_s), str(acked))
        self._process = subprocess.Popen([sys.executable, "-m", "tests.bars.numbered", *what], stdout=subprocess.PIPE)

    def stop(self) -> Written:
        self._process.send_signal(signal.SIGTERM)
        text, _ = self._process.communicate(timeout=150)
        told = json.loads(text)
        seconds = {int(second): size for second, size in told["bytes_by_second"].items()}
        return Written(
            sent=told["sent"], failed=told["failed"], acked=bytearray(self._acked.read_bytes()), bytes_by_second=seconds
        )


def read_back(bootstrap: str, topic: str, partitions: int) -> tuple[set[int], int]:
    """Every number in the topic, and how many came more than once. Records of another size are somebody else's."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bar", "enable.auto.commit": False})
    seen: set[int] = set()
    twice = 0
    for partition in range(partitions):
        at = TopicPartition(topic, partition, 0)
        _, high = watermarks(consumer, topic, partition)
        consumer.assign([at])
        due, deadline = 0, time.monotonic() + 120
        while due < high and time.monotonic() < deadline:
            for message in consumer.consume(2000, 0.5):
                if message.error() is not None:
                    continue
                due = message.offset() + 1
                if len(value := message.value() or b"") == RECORD_BYTES:
                    number = int.from_bytes(value[:8], "big")
                    twice += number in seen
                    seen.add(number)
    consumer.close()
    return seen, twice


def main() -> int:
    bootstrap, topic, partitions, mb_per_s, acked = sys.argv[1:]
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    done = write(bootstrap, topic, int(partitions), float(mb_per_s), over)
    Path(acked).write_bytes(done.acked)
    told = {"sent": done.sent, "failed": done.failed[:5], "bytes_by_second": done.bytes_by_second}
    print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
