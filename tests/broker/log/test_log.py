"""One partition: what an append promises, what a reader sees, what a retry gets."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from broker.errors import (
    CorruptMessage,
    NotEnoughReplicas,
    NotLeaderOrFollower,
    OffsetOutOfRange,
    OutOfOrderSequenceNumber,
)
from broker.records.batch import batches
from broker.wal import ring


async def one_log(cluster: Any) -> Any:
    await cluster.start(0)
    await cluster.metadata(0).create_topic("t", partitions=1)
    return await cluster.log(0)


async def read_offsets(log: Any, start: int = 0) -> list[int]:
    found: list[int] = []
    offset = start
    while offset < log.high_watermark:
        slice_ = await log.read(offset, 4096, min_one=True)
        for data in slice_.data:
            for one in batches(data):
                found.append(one.base_offset)
                offset = one.next_offset
    return found


async def test_is_answered_and_visible_only_after_the_sync(cluster: Any, make_batch: Any, monkeypatch: Any) -> None:
    log = await one_log(cluster)
    held, put = threading.Event(), ring.write_durably
    monkeypatch.setattr(ring, "write_durably", lambda *what: (held.wait(60), put(*what))[1])
    try:
        answer = log.append(make_batch(3), acks=-1)
        await asyncio.sleep(0.05)
        assert not answer.done()
        assert log.high_watermark == 0
        assert (await log.read(0, 1000, min_one=True)).data == []
    finally:
        held.set()
    assert (await answer).base_offset == 0
    assert log.high_watermark == 3


async def test_gives_offsets_in_the_order_of_calls(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    answers = await asyncio.gather(*(log.append(make_batch(2), acks=1) for _ in range(20)))
    assert [answer.base_offset for answer in answers] == list(range(0, 40, 2))
    assert await read_offsets(log) == list(range(0, 40, 2))


async def test_reads_the_same_from_objects_as_from_the_tail(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    for number in range(30):
        await log.append(make_batch(2, size=500 + number), acks=1)
    before = [bytes(data) for data in (await log.read(0, 1 << 20, min_one=True)).data]
    logs = cluster.brokers[0][1]
    await logs._uploader.upload(list(logs))
    logs._budget.limit_bytes = 0
    logs._budget.shrink()
    assert logs._budget.held_bytes == 0
    assert [bytes(data) for data in (await log.read(0, 1 << 20, min_one=True)).data] == before
    assert (await log.read(31, 10, min_one=True)).data[0][:8] == (30).to_bytes(8, "big")
    assert await read_offsets(log, 7)


async def test_a_retry_gets_the_old_offset_even_before_it_is_durable(
    cluster: Any, make_batch: Any, monkeypatch: Any
) -> None:
    log = await one_log(cluster)
    held, put = threading.Event(), ring.write_durably
    monkeypatch.setattr(ring, "write_durably", lambda *what: (held.wait(60), put(*what))[1])
    first = log.append(make_batch(2, producer=9, sequence=0), acks=-1)
    again = log.append(make_batch(2, producer=9, sequence=0), acks=-1)
    await asyncio.sleep(0.02)
    assert not again.done()
    held.set()
    assert (await first).base_offset == (await again).base_offset == 0
    assert log.log_end == 2


async def test_a_gap_in_the_sequence_is_refused_and_leaves_no_trace(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    await log.append(make_batch(1, producer=9, sequence=0), acks=-1)
    with pytest.raises(OutOfOrderSequenceNumber):
        log.append(make_batch(1, producer=9, sequence=2), acks=-1)
    await log.append(make_batch(1, producer=9, sequence=1), acks=-1)
    assert log.log_end == 2


async def test_refuses_before_a_sequence_is_recorded_when_the_wal_is_full(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    sequence = 0
    with pytest.raises(NotEnoughReplicas):
        while True:
            log.append(make_batch(1, producer=9, sequence=sequence, size=200_000), acks=1)
            sequence += 1
    end = log.log_end
    logs = cluster.brokers[0][1]
    assert logs.throttle_ms() > 0
    await log.wait_for(end - 1)
    await logs._uploader.upload(list(logs))
    async with asyncio.timeout(10):
        assert (await log.append(make_batch(1, producer=9, sequence=sequence), acks=1)).base_offset == end


async def test_refuses_bytes_whose_checksum_lies(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    broken = bytearray(make_batch())
    broken[-1] ^= 1
    with pytest.raises(CorruptMessage):
        log.append(bytes(broken), acks=1)
    assert log.log_end == 0


async def test_an_offset_outside_of_the_log_is_out_of_range(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    await log.append(make_batch(), acks=1)
    assert (await log.read(1, 100, min_one=True)).data == []
    with pytest.raises(OffsetOutOfRange):
        await log.read(2, 100, min_one=True)


async def test_finds_offsets_by_time_in_tail_and_objects(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    for number in range(4):
        await log.append(make_batch(at_ms=1000 * (number + 1)), acks=1)
    assert await log.offset_for_time(2500) == (2, 3000)
    logs = cluster.brokers[0][1]
    await logs._uploader.upload(list(logs))
    assert await log.offset_for_time(2500) == (2, 3000)
    assert await log.offset_for_time(9999) == (-1, -1)
    assert await log.max_timestamp() == (3, 4000)


async def test_a_long_poll_wakes_when_the_record_may_be_read(cluster: Any, make_batch: Any) -> None:
    log = await one_log(cluster)
    waiting = log.wait_for(0)
    assert not waiting.done()
    await log.append(make_batch(), acks=1)
    await asyncio.wait_for(waiting, 30)


async def test_who_no_longer_waits_is_no_fault_when_the_log_closes(cluster: Any) -> None:
    log = await one_log(cluster)
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: said.append(about))
    left = log.wait_for(log.log_end)
    log.close(NotLeaderOrFollower("this broker is going down"))
    del left
    late = log.wait_for(log.log_end)
    with pytest.raises(NotLeaderOrFollower):
        await late
    del late
    gc.collect()
    assert said == []


async def test_a_large_batch_stays_in_its_frame_and_a_small_one_keeps_no_large_frame(
    cluster: Any, make_batch: Any
) -> None:
    log = await one_log(cluster)
    most = bytearray(make_batch(3))
    await log.append(memoryview(most), acks=-1)
    await log.append(memoryview(bytearray(make_batch(1)) + bytes(100_000))[: len(make_batch(1))], acks=-1)
    first, second = (await log.read(0, 1 << 20, min_one=True)).data
    assert first.obj is most
    assert isinstance(second, bytearray)
    assert await read_offsets(log) == [0, 3]
