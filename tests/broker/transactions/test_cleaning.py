"""A compacted topic with transactions in it: aborted records go, open ones hold the cleaner up, and what a consumer is
told to leave out never outlives the marker that ends it.
"""

from __future__ import annotations

from typing import Any

from broker.records.batch import batches
from broker.records.markers import Marker
from tests.broker.log.conftest import Cluster, cluster  # noqa: F401
from tests.broker.log.logs_of_keys import keyed


async def write(log: Any, producer: int, sequence: int, key: bytes, value: bytes) -> None:
    guard = log.producers.guard(producer)
    data = keyed([(key, value)], producer=producer, sequence=sequence, transactional=True)
    await log.append(data, acks=-1, guard=guard)


async def end(log: Any, producer: int, *, commit: bool) -> None:
    await log.mark(Marker(producer_id=producer, producer_epoch=0, coordinator_epoch=0, commit=commit), 2000)


async def committed(log: Any) -> tuple[list[int], set[tuple[int, int]]]:
    """Base offsets of the batches with records that a read_committed consumer is sent, and what it leaves out."""
    offset, found, aborted = log.log_start, [], set()
    while offset < log.last_stable:
        part = await log.read(offset, 1_000, min_one=True, committed=True)
        if not part.data:
            break
        for batch in (one for data in part.data for one in batches(data)):
            found += [] if batch.is_control else [batch.base_offset]
            offset = batch.next_offset
        aborted |= set(part.aborted)
    return found, aborted


async def clean(logs: Any) -> None:
    await logs._uploader.upload(list(logs))
    logs._upkeep.cleaning._not_before.clear()
    await logs._upkeep.cleaning.clean()


async def test_aborted_records_go_and_with_them_what_consumers_are_told(cluster: Cluster) -> None:  # noqa: F811
    logs = await cluster.start(0)
    configs = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "delete.retention.ms": "0"}
    await cluster.metadata().create_topic("t", partitions=1, configs=configs)
    log = await cluster.log(0)
    await write(log, 7, 0, b"a", b"aborted")
    await end(log, 7, commit=False)
    await write(log, 7, 1, b"a", b"1")
    await end(log, 7, commit=True)
    await write(log, 8, 0, b"b", b"open")
    await write(log, 7, 2, b"a", b"2")
    await end(log, 7, commit=True)
    assert (log.last_stable, await committed(log)) == (4, ([0, 2], {(7, 0)}))
    await clean(logs)
    assert (await committed(log))[0] in ([0, 2], [2])
    await end(log, 8, commit=True)
    await clean(logs)
    assert await committed(log) == ([4, 5], set())
    for sequence in range(3, 6):
        await write(log, 7, sequence, b"c", b"%d" % sequence)
        await end(log, 7, commit=True)
        await clean(logs)
    assert await committed(log) == ([4, 5, 12], set())
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert await committed(log) == ([4, 5, 12], set())
