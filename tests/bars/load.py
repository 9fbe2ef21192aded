"""A steady flow of records from a process of its own, so that what is measured beside it has its interpreter to itself.

`python -m tests.bars.load BOOTSTRAP TOPIC PARTITIONS MB_PER_S` writes until SIGTERM, then prints one JSON line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from confluent_kafka import Producer

RECORD_BYTES = 10_000
TICK_S = 0.02


class Flow:
    """The process, from the outside."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, mb_per_s: float) -> None:
        command = [sys.executable, "-m", "tests.bars.load", bootstrap, topic, str(partitions), str(mb_per_s)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def stop(self) -> dict[str, float]:
        """What it did: sent, acknowledged and failed records, megabytes acknowledged per second."""
        self._process.send_signal(signal.SIGTERM)
        try:
            text, _ = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return {"sent": 0, "acked": 0, "failed": 1, "mb_per_s": 0.0}
        result: dict[str, float] = json.loads(text)
        return result


def write(bootstrap: str, topic: str, partitions: int, mb_per_s: float, over: threading.Event) -> dict[str, float]:
    """Writes random bytes at the rate, to all partitions in turn, until `over`."""
    counts = {"sent": 0, "acked": 0, "failed": 0}
    settings = {"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "compression.type": "none"}
    producer = Producer({**settings, "enable.idempotence": True, "log_level": 0})

    def delivered(error: Any, _: Any) -> None:
        counts["acked" if error is None else "failed"] += 1

    payload, per_second = os.urandom(RECORD_BYTES), mb_per_s * 1e6 / RECORD_BYTES
    begun = time.monotonic()
    while not over.is_set():
        due = int((time.monotonic() - begun) * per_second)
        while counts["sent"] < due:
            try:
                producer.produce(topic, payload, partition=counts["sent"] % partitions, on_delivery=delivered)
            except BufferError:
                producer.poll(0.1)
                continue
            counts["sent"] += 1
        producer.poll(TICK_S)
    seconds = time.monotonic() - begun
    mb_acked = counts["acked"] * RECORD_BYTES / 1e6
    producer.flush(45)
    return {**counts, "mb_per_s": round(mb_acked / seconds, 2)}


def main() -> int:
    bootstrap, topic, partitions, mb_per_s = sys.argv[1:]
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGINT, lambda *_: over.set())
    print(json.dumps(write(bootstrap, topic, int(partitions), float(mb_per_s), over)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
