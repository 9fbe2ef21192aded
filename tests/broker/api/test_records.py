"""Produce, Fetch and ListOffsets as a client meets them."""

from __future__ import annotations

import asyncio
import struct
import threading
from datetime import timedelta
from uuid import UUID

import pytest

from broker.wal import ring
from tests.broker.api.asking import LONG, batch, create, fetch, fetch_values, produce
from tests.broker.api.conftest import Broker, Wire


async def test_what_was_acknowledged_is_read_back_with_its_offset(wire: Wire) -> None:
    await create(wire, "t")
    offsets = [(await produce(wire, "t", batch(b"%d" % number))).base_offset for number in range(3)]
    assert offsets == [0, 1, 2]
    found = await fetch(wire, "t", offset=1)
    assert (found.high_watermark, int(found.error_code)) == (3, 0)
    assert struct.unpack_from(">q", found.records)[0] == 1


async def test_a_producer_is_told_in_time_that_its_records_are_not_durable_and_the_next_one_that_they_are(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(wire, "t")
    going, put = threading.Event(), ring.write_durably
    monkeypatch.setattr(ring, "write_durably", lambda *what: (going.wait(30), put(*what))[1])
    try:
        late = await produce(wire, "t", batch(b"late"), timeout=timedelta(milliseconds=200))
        assert (int(late.error_code), late.base_offset) == (7, -1)
    finally:
        going.set()
    assert (await produce(wire, "t", batch(b"next"))).base_offset == 1, "what was late is there all the same"


async def test_a_short_request_does_not_overtake_a_long_one_of_its_connection(wire: Wire) -> None:
    await create(wire, "t", partitions=40)
    given = await wire.ask(22, 4, transactional_id=None, transaction_timeout=LONG)

    def send(partitions: int, sequence: int) -> None:
        records = batch(producer=given.producer_id, sequence=sequence)
        data = [{"name": "t", "partition_data": [{"index": index, "records": records} for index in range(partitions)]}]
        wire.request(0, 9, transactional_id=None, acks=-1, timeout=LONG, topic_data=data)

    send(40, 0)
    send(1, 1)
    answers = [(await wire.response(0, 9))[1].responses[0].partition_responses for _ in range(2)]
    assert [(int(one.error_code), one.base_offset) for one in answers[1]] == [(0, 1)]
    assert {one.base_offset for one in answers[0]} == {0}


async def test_every_version_of_produce_and_fetch_is_served(wire: Wire) -> None:
    topic = await create(wire, "t")
    for count, version in enumerate(range(3, 13)):
        assert (await produce(wire, "t", batch(), version=version)).base_offset == count
    for version in range(4, 18):
        found = await fetch(wire, topic.topic_id if version >= 13 else "t", version=version, max_bytes=10_000)
        assert (found.high_watermark, int(found.error_code)) == (10, 0)
        assert found.records


async def test_a_long_poll_ends_when_a_record_comes(broker: Broker, wire: Wire) -> None:
    await create(wire, "t")
    consumer = await broker.connect()
    consumer.request(1, 11, **fetch_values("t", wait=timedelta(minutes=5)))
    await asyncio.sleep(0.05)
    await produce(wire, "t", batch(b"late"))
    async with asyncio.timeout(30):
        _, found = await consumer.response(1, 11)
    assert b"late" in found.responses[0].partitions[0].records


async def test_the_first_batch_comes_even_if_it_is_larger_than_asked(wire: Wire) -> None:
    await create(wire, "t")
    await produce(wire, "t", batch(b"x" * 60))
    await produce(wire, "t", batch(b"y" * 60))
    found = await fetch(wire, "t", max_bytes=10)
    assert b"x" * 60 in found.records
    assert b"y" * 60 not in found.records


async def test_a_retry_of_an_idempotent_producer_gets_the_old_offset(wire: Wire) -> None:
    await create(wire, "t")
    given = await wire.ask(22, 4, transactional_id=None, transaction_timeout=LONG)
    sent = batch(b"once", producer=given.producer_id, sequence=0)
    assert [(await produce(wire, "t", sent)).base_offset for _ in range(2)] == [0, 0]
    gap = await produce(wire, "t", batch(b"gap", producer=given.producer_id, sequence=5))
    assert int(gap.error_code) == 45
    assert (await fetch(wire, "t")).high_watermark == 1


async def test_producer_ids_are_never_given_twice(wire: Wire) -> None:
    given = [(await wire.ask(22, 4, transactional_id=None, transaction_timeout=LONG)).producer_id for _ in range(3)]
    assert len(set(given)) == 3


async def test_records_that_are_not_acknowledged_get_no_answer_but_are_kept(wire: Wire) -> None:
    await create(wire, "t")
    data = [{"name": "t", "partition_data": [{"index": 0, "records": batch(b"quiet")}]}]
    wire.request(0, 9, transactional_id=None, acks=0, timeout=LONG, topic_data=data)
    assert b"quiet" in (await fetch(wire, "t", wait=LONG)).records


async def test_an_unanswered_produce_that_fails_closes_the_connection(wire: Wire) -> None:
    data = [{"name": "nowhere", "partition_data": [{"index": 0, "records": batch()}]}]
    wire.request(0, 9, transactional_id=None, acks=0, timeout=LONG, topic_data=data)
    assert await wire.hung_up()


async def test_each_fault_of_a_produce_has_its_code_and_costs_no_offset(wire: Wire) -> None:
    await create(wire, "t", max_message_bytes="200")
    torn, control = bytearray(batch()), bytearray(batch())
    torn[-1] ^= 1
    control[22] |= 0x20
    assert int((await produce(wire, "t", bytes(torn))).error_code) == 2
    assert int((await produce(wire, "t", batch(b"x" * 60)[:-3])).error_code) == 2
    assert int((await produce(wire, "t", b"")).error_code) == 87
    assert int((await produce(wire, "t", batch(), acks=2)).error_code) == 21
    assert int((await produce(wire, "t", batch(), index=7)).error_code) == 3
    assert int((await produce(wire, "nowhere", batch())).error_code) == 3
    assert int((await produce(wire, "t", batch() + batch() + batch())).error_code) in (0, 10, 87)
    assert (await produce(wire, "t", bytes(control))).base_offset == -1


async def test_a_batch_over_the_topics_limit_is_too_large(wire: Wire) -> None:
    await create(wire, "t", max_message_bytes="80")
    found = await produce(wire, "t", batch(b"x" * 60))
    assert int(found.error_code) == 10
    assert "max.message.bytes" in found.error_message


async def test_log_append_time_is_the_brokers(wire: Wire) -> None:
    await create(wire, "t", message_timestamp_type="LogAppendTime")
    assert int((await produce(wire, "t", batch())).error_code) == 0
    records = (await fetch(wire, "t")).records
    assert struct.unpack_from(">h", records, 21)[0] & 0x08
    stamped = struct.unpack_from(">q", records, 35)[0]
    assert stamped > 1_600_000_000_000
    part = {"partition_index": 0, "timestamp": stamped - 1000, "current_leader_epoch": -1}
    asked = [{"name": "t", "partitions": [part]}]
    found = await wire.ask(2, 5, replica_id=-1, isolation_level=0, topics=asked)
    assert found.topics[0].partitions[0].offset == 0, "by that time it is looked up, and kept"


async def test_each_fault_of_a_fetch_has_its_code(wire: Wire) -> None:
    await create(wire, "t")
    assert int((await fetch(wire, "t", offset=5)).error_code) == 1
    assert int((await fetch(wire, "nowhere")).error_code) == 3
    assert int((await fetch(wire, UUID(int=99), version=13)).error_code) == 100
    assert int((await wire.ask(1, 11, **fetch_values("t", session=5, session_epoch=1))).error_code) == 70


async def test_list_offsets_knows_the_ends_and_times(wire: Wire) -> None:
    await create(wire, "t")
    for _ in range(2):
        await produce(wire, "t", batch())
    for version in range(1, 11):
        found = {}
        for timestamp in (-1, -2, 500, 10**14):
            part = {"partition_index": 0, "timestamp": timestamp, "current_leader_epoch": -1}
            asked = [{"name": "t", "partitions": [part]}]
            answer = await wire.ask(2, version, replica_id=-1, isolation_level=0, topics=asked, timeout=LONG)
            found[timestamp] = answer.topics[0].partitions[0].offset
        assert found == {-1: 2, -2: 0, 500: 0, 10**14: -1}
