"""Starts a broker on a disk that lost power and reads everything back, disk after disk, in one process.

Argument: the kind of WAL. stdin: one directory a line. stdout: one JSON line for each:
{"records": {partition: [[offset, digest of the value], ...]}, "short": partitions that could not be read to their end,
"committed": the group's offset, "seconds": until it served}, or {"error": why it did not start}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from broker.clock import SystemClock
from broker.flags import parse
from broker.node import Node
from tests.powerloss.workload import GROUP, PARTITIONS, TOPIC, digest, flags
from tests.watermarks import watermarks


async def look(directory: Path, wal: str, patience_s: float) -> dict[str, Any]:
    begun = time.monotonic()
    node = Node(parse(flags(directory, wal)), SystemClock())
    try:
        address = await node.start()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    seconds = time.monotonic() - begun
    found = await asyncio.get_running_loop().run_in_executor(None, read, address.kafka, patience_s)
    await node.stop()
    return {**found, "seconds": seconds}


def read(bootstrap: str, patience_s: float) -> dict[str, Any]:
    """Every record of the topic, and what the group committed."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": GROUP,
            "enable.auto.commit": False,
            "log_level": 0,
            "fetch.wait.max.ms": 20,
            "enable.partition.eof": False,
            "check.crcs": True,
        }
    )
    records: dict[int, list[tuple[int, str]]] = {partition: [] for partition in range(PARTITIONS)}
    try:
        ends, starts = {}, {}
        for partition in range(PARTITIONS):
            starts[partition], ends[partition] = watermarks(consumer, TOPIC, partition, timeout_s=patience_s)
        consumer.assign([TopicPartition(TOPIC, partition, starts[partition]) for partition in range(PARTITIONS)])
        due = dict(starts)
        deadline = time.monotonic() + patience_s
        while any(due[p] < ends[p] for p in due) and time.monotonic() < deadline:
            for message in consumer.consume(5000, 0.05):
                partition, offset = message.partition(), message.offset()
                if message.error() is None and partition is not None and offset is not None:
                    records[partition].append((offset, digest(message.value() or b"")))
                    due[partition] = offset + 1
        short = [f"partition {p}: read to {due[p]} of {ends[p]}" for p in due if due[p] < ends[p]]
        (committed,) = consumer.committed([TopicPartition(TOPIC, 0)], timeout=patience_s)
        return {"records": records, "committed": committed.offset, "short": short}
    except Exception as error:
        return {"error": f"reading back: {error}"}
    finally:
        consumer.close()


def main() -> None:
    for line in sys.stdin:
        answer = asyncio.run(look(Path(line.strip()), sys.argv[1], float(sys.argv[2])))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
