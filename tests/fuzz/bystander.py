"""Another client, that wants nothing but its records: produces and reads back, and times each pair.

`python -m tests.fuzz.bystander HOST PORT` goes on until its stdin closes, then prints one JSON line: when each
pair began (monotonic seconds) and how long it took, and what went wrong. A process of its own, so that it has its
interpreter to itself; raw frames over one connection for all its life, so that a single hang-up is seen.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.wire.codec import shape
from broker.wire.encoder import encode
from tests.fuzz.batches import batch, record
from tests.fuzz.requests import header
from tests.fuzz.target import Outcome, Target, read_answer

TOPIC = "bystander"
EVERY_S = 0.01
_PRODUCE, _FETCH, _LIST_OFFSETS, _METADATA, _CREATE = (0, 9), (1, 11), (2, 5), (3, 9), (19, 7)


@dataclass(kw_only=True)
class Report:
    """Seconds are monotonic, the machine's, and so can be compared between processes."""

    began: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def ask(target: Target, api: tuple[int, int], values: dict[str, Any], correlation: int = 1) -> Any:
    """One request of plain fields, and its answer; RuntimeError when the broker hung up or said nothing."""
    found = shape(*api)
    body = bytes(encode(found.request, values))
    outcome, answer = target.ask(header(*api, correlation, flexible=found.flexible_request_header) + body)
    if outcome is not Outcome.ANSWERED:
        raise RuntimeError(f"API key {api[0]}: {outcome.value}")
    return read_answer(*api, answer)


def create(target: Target, topic: str, partitions: int, configs: Sequence[tuple[str, str]] = ()) -> None:
    """A topic, open for records."""
    settings = [{"name": name, "value": value} for name, value in configs]
    asked = {"name": topic, "num_partitions": partitions, "replication_factor": 1, "configs": settings}
    ask(target, _CREATE, {"topics": [asked], "timeout": 5000})
    deadline = time.monotonic() + 10
    part = {"partition_index": 0, "timestamp": -1, "current_leader_epoch": -1}
    while time.monotonic() < deadline:
        found = ask(target, _LIST_OFFSETS, {"replica_id": -1, "topics": [{"name": topic, "partitions": [part]}]})
        if not int(found.topics[0].partitions[0].error_code):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{topic} has no leader after 10 s")


def pair(target: Target, offset: int) -> None:
    """Writes the record of that offset and reads it."""
    data = batch(records=record(b"bystander-%08d" % offset))
    parts = [{"index": 0, "records": data}]
    topic_data = [{"name": TOPIC, "partition_data": parts}]
    written = ask(target, _PRODUCE, {"acks": -1, "timeout": 5000, "topic_data": topic_data})
    answer = written.responses[0].partition_responses[0]
    if int(answer.error_code) or answer.base_offset != offset:
        raise RuntimeError(f"record {offset} got {answer}")
    asked = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 1000, "current_leader_epoch": -1}
    read = ask(target, _FETCH, {"replica_id": -1, "max_wait": 500, "min_bytes": 1, "max_bytes": 1000,
                                "topics": [{"topic": TOPIC, "partitions": [asked]}]})  # fmt: skip
    if bytes(read.responses[0].partitions[0].records or b"")[61:] != data[61:]:
        raise RuntimeError(f"record {offset} came back as {read.responses[0].partitions[0]}")


def run(address: tuple[str, int]) -> Report:
    """Until stdin closes, or the first fault."""
    report, target = Report(), Target(address)
    create(target, TOPIC, 1)
    offset = 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], EVERY_S)[0]:
        began = time.monotonic()
        try:
            pair(target, offset)
        except Exception as error:
            report.faults.append(f"{type(error).__name__}: {error}")
            break
        offset += 1
        report.began.append(began)
        report.took.append(time.monotonic() - began)
    return report


class Bystander:
    """The process, from the outside."""

    def __init__(self, address: tuple[str, int]) -> None:
        command = [sys.executable, "-m", "tests.fuzz.bystander", address[0], str(address[1])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise RuntimeError("the bystander did not get ready")

    def stop(self) -> Report:
        """Its report."""
        try:
            text, _ = self._process.communicate(input="", timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return Report(faults=["the bystander hung"])
        return Report(**json.loads(text))


if __name__ == "__main__":
    print(json.dumps(run((sys.argv[1], int(sys.argv[2]))).__dict__))
