"""Transactions in one partition: what read_committed sees, what a marker ends, and what outlives the owner."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from crc32c import crc32c

from broker.errors import InvalidProducerEpoch, InvalidTxnState, TransactionCoordinatorFenced
from broker.log.producers import Producers
from broker.records.batch import batches, parse
from broker.records.markers import Marker, read_marker, write_marker
from tests.broker.log.conftest import Cluster, cluster  # noqa: F401


def batch(producer: int, sequence: int, *, epoch: int = 0, count: int = 1, transactional: bool = True) -> bytes:
    body = struct.pack(
        ">hiqqqhii", 0x10 * transactional, count - 1, 1000, 1000 + count - 1, producer, epoch, sequence, count
    )
    body += b"x" * (50 * count)
    return struct.pack(">qiibI", 0, len(body) + 9, 0, 2, crc32c(body)) + body


def marker(producer: int, *, commit: bool, epoch: int = 0, coordinator: int = 0) -> Marker:
    return Marker(producer_id=producer, producer_epoch=epoch, coordinator_epoch=coordinator, commit=commit)


async def one_log(cluster: Cluster, broker: int = 0) -> Any:  # noqa: F811
    await cluster.start(broker)
    await cluster.metadata(broker).create_topic("t", partitions=1)
    return await cluster.log(broker)


async def write(log: Any, producer: int, sequence: int, **how: Any) -> int:
    guard = log.producers.guard(producer)
    return (await log.append(batch(producer, sequence, **how), acks=-1, guard=guard)).base_offset


async def committed(log: Any, start: int = 0) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Base offsets that a read_committed consumer is sent, and what it is told to leave out."""
    found = await log.read(start, 1 << 20, min_one=True, committed=True)
    return [one.base_offset for data in found.data for one in batches(data)], found.aborted


def test_a_marker_reads_as_it_was_written():
    said = Marker(producer_id=7, producer_epoch=3, coordinator_epoch=9, commit=True)
    data = write_marker(said, 1234)
    found = parse(data)
    assert (found.is_control, found.is_transactional, found.count, found.base_sequence) == (True, True, 1, -1)
    assert read_marker(data, found) == said


async def test_read_committed_stops_at_the_first_open_transaction(cluster: Any) -> None:  # noqa: F811
    log = await one_log(cluster)
    await log.append(batch(5, 0, transactional=False), acks=-1)
    await write(log, 7, 0)
    await write(log, 8, 0)
    assert (log.high_watermark, log.last_stable) == (3, 1)
    assert await committed(log) == ([0], ())
    await log.mark(marker(8, commit=True), 2000)
    assert log.last_stable == 1
    waiting = asyncio.get_running_loop().create_future()
    log.tell(1, waiting, committed=True)
    await log.append(batch(5, 1, transactional=False), acks=-1)
    assert not waiting.done()
    await log.mark(marker(7, commit=False), 2000)
    await waiting
    assert log.last_stable == log.high_watermark == 6
    assert await committed(log) == ([0, 1, 2, 3, 4, 5], ((7, 1),))
    assert (await committed(log, 6))[1] == ()


async def test_what_a_consumer_leaves_out_ends_where_its_records_end(cluster: Any) -> None:  # noqa: F811
    log = await one_log(cluster)
    for sequence in range(3):
        await write(log, 7, sequence)
        await log.mark(marker(7, commit=False), 2000)
    found = await log.read(0, 1, min_one=True, committed=True)
    assert found.aborted == ((7, 0),)
    assert (await committed(log))[1] == ((7, 0), (7, 2), (7, 4))


async def test_a_transaction_that_was_not_confirmed_does_not_begin(cluster: Any) -> None:  # noqa: F811
    log = await one_log(cluster)
    with pytest.raises(InvalidTxnState):
        log.append(batch(7, 0), acks=-1)
    guard = log.producers.guard(7)
    await log.mark(marker(7, commit=False), 2000)
    with pytest.raises(InvalidTxnState):
        log.append(batch(7, 0), acks=-1, guard=guard)
    assert log.log_end == 0
    await write(log, 7, 0)
    with pytest.raises(InvalidTxnState):
        log.append(batch(7, 1, transactional=False), acks=-1)


async def test_markers_may_come_twice_and_older_coordinators_are_refused(cluster: Any) -> None:  # noqa: F811
    log = await one_log(cluster)
    await write(log, 7, 0)
    await log.mark(marker(7, commit=True, epoch=1, coordinator=4), 2000)
    end = log.log_end
    await log.mark(marker(7, commit=True, epoch=1, coordinator=5), 2000)
    assert log.log_end == end
    with pytest.raises(TransactionCoordinatorFenced):
        log.mark(marker(7, commit=False, epoch=1, coordinator=3), 2000)
    with pytest.raises(InvalidProducerEpoch):
        log.mark(marker(7, commit=False, epoch=0, coordinator=5), 2000)
    with pytest.raises(InvalidProducerEpoch):
        log.append(batch(7, 1), acks=-1, guard=log.producers.guard(7))
    assert await write(log, 7, 0, epoch=1) == 2


@pytest.mark.parametrize("uploaded", [False, True])
async def test_a_failover_forgets_no_transaction(cluster: Any, uploaded: bool) -> None:  # noqa: F811
    log = await one_log(cluster)
    await write(log, 7, 0)
    await log.mark(marker(7, commit=False), 2000)
    await write(log, 8, 0)
    if uploaded:
        logs = cluster.brokers[0][1]
        await logs._uploader.upload(list(logs))
    await write(log, 9, 0)
    await log.mark(marker(9, commit=True), 2000)
    assert log.last_stable == 2
    await cluster.crash(0)
    await cluster.start(0)
    log = await cluster.log(0)
    assert log.last_stable == 2
    assert await committed(log) == ([0, 1], ((7, 0),))
    assert [view.open_since for view in log.producers.views() if view.producer_id == 8] == [2]
    await log.mark(marker(8, commit=True), 2000)
    offset, seen = 0, []
    while offset < log.high_watermark:
        seen += (await committed(log, offset))[0]
        offset = seen[-1] + 1
    assert seen == [0, 1, 2, 3, 4, 5]


def test_the_state_of_an_earlier_offset_leaves_out_what_came_later():
    producers = Producers()

    def put(data: bytes, at: int) -> None:
        producers.apply(data, parse(data), at)

    put(batch(7, 0), 0)
    put(batch(8, 0), 1)
    put(write_marker(marker(7, commit=False), 5), 2)
    put(batch(8, 1), 3)
    put(write_marker(marker(8, commit=True), 5), 4)
    for end, opened, aborted in [(1, {7: 0}, 0), (2, {7: 0, 8: 1}, 0), (3, {8: 1}, 1), (5, {}, 1)]:
        again = Producers(producers.snapshot(end)).transactions
        assert (again.opened, len(again.aborted)) == (opened, aborted)
    assert producers.transactions.stable(4) == 1
    assert producers.transactions.stable(5) == 5
    producers.transactions.committed(5)
    assert Producers(producers.snapshot(5)).snapshot(5) == producers.snapshot(5)
