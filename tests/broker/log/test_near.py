"""Reading near: who is in another zone than the leader is sent to a broker of its own, which has the tail too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from broker.clock import SystemClock
from broker.errors import NotLeaderOrFollower, OffsetOutOfRange
from broker.flags import parse
from broker.log.near_tail import NearTail
from broker.node import Node
from broker.peers.tails import ToldTail
from broker.records.batch import parse as parse_batch
from broker.records.batch import patch
from tests.broker.api.asking import LONG, batch, fetch_values, produce
from tests.broker.api.conftest import Broker, Wire


@dataclass(frozen=True, kw_only=True)
class Zones:
    """The leader of "t" in zone z0, and a broker of zone z1; a connection to each."""

    far: Broker
    near: Broker
    leader: Wire
    wire: Wire


@pytest.fixture
async def zones(tmp_path: Path) -> AsyncIterator[Zones]:
    brokers = []
    for number in (0, 1):
        flags = ["--id", str(number), "--dir", str(tmp_path), "--zone", f"z{number}", "--http", "127.0.0.1:0"]
        flags += ["--listeners", "PLAINTEXT://127.0.0.1:0", "--wal-size", "32MiB", "--no-bill"]
        node = Node(parse(flags), SystemClock())
        brokers.append(Broker(node, (await node.start()).kafka))
    leader, wire = [await broker.connect() for broker in brokers]
    assignment = [{"partition_index": 0, "broker_ids": (0, 1)}]
    asked = {"name": "t", "num_partitions": -1, "replication_factor": -1, "assignments": assignment, "configs": ()}
    await leader.ask(19, 7, topics=[asked], timeout=LONG)
    while int((await produce(leader, "t", batch(b"first"))).error_code):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    for broker in brokers:
        await broker.node._metadata.until(lambda image: "t" in image.topics and len(image.alive()) == 2)
    yield Zones(far=brokers[0], near=brokers[1], leader=leader, wire=wire)
    for broker in brokers:
        await broker.hang_up()
        await broker.node.stop()


async def fetch(wire: Wire, offset: int, *, isolation: int = 0, rack: str = "z1") -> Any:
    values = fetch_values("t", offset=offset, wait=LONG, rack=rack, max_bytes=10_000)
    found = await wire.ask(1, 12, **{**values, "isolation_level": isolation})
    return found.responses[0].partitions[0]


async def test_a_reader_of_another_zone_is_sent_to_its_own_and_not_again_soon(zones: Zones) -> None:
    sent = await fetch(zones.leader, 0)
    assert (sent.preferred_read_replica, sent.records or b"", sent.high_watermark) == (1, b"", 1)
    back = await fetch(zones.leader, 0)
    assert back.preferred_read_replica == -1 and b"first" in bytes(back.records)
    for rack in ("z0", "z9", ""):
        stays = await fetch(await zones.far.connect(), 0, rack=rack)
        assert stays.preferred_read_replica == -1 and b"first" in bytes(stays.records)


async def test_the_near_broker_serves_a_tail_that_it_fetched_once(zones: Zones) -> None:
    assert b"first" in bytes((await fetch(zones.wire, 0)).records)
    waiting = asyncio.create_task(fetch(zones.wire, 1))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await produce(zones.leader, "t", batch(b"second"))
    grown = await waiting
    assert b"second" in bytes(grown.records) and grown.high_watermark == 2
    fetched = zones.near.node._neighbours.near.fetched_bytes
    for _ in range(3):
        assert b"first" in bytes((await fetch(await zones.near.connect(), 0)).records)
    assert zones.near.node._neighbours.near.fetched_bytes == fetched == zones.far.node._counters.near_bytes


async def test_who_is_of_another_zone_or_asks_for_what_is_not_there_is_sent_to_the_leader(zones: Zones) -> None:
    for rack in ("z0", ""):
        sent = await fetch(zones.wire, 0, rack=rack)
        assert (int(sent.error_code), sent.current_leader.leader_id) == (NotLeaderOrFollower.code, 0)
    assert int((await fetch(zones.wire, 99)).error_code) == NotLeaderOrFollower.code
    assert b"first" in bytes((await fetch(zones.wire, 0)).records)
    assert int((await fetch(zones.wire, 99)).error_code) == OffsetOutOfRange.code


async def test_a_leader_that_is_gone_sends_readers_back(zones: Zones) -> None:
    assert b"first" in bytes((await fetch(zones.wire, 0)).records)
    await zones.far.node._neighbours.server.stop()
    waiting = await fetch(zones.wire, 1)
    assert int(waiting.error_code) == NotLeaderOrFollower.code
    assert zones.near.node._neighbours.near.held_bytes == 0


async def test_committed_readers_are_told_what_was_aborted(zones: Zones) -> None:
    from confluent_kafka import Consumer, Producer

    def write_and_read() -> list[bytes]:
        producer = Producer({"bootstrap.servers": zones.far.address, "transactional.id": "x"})
        producer.init_transactions(20)
        for value, ends in (
            (b"aborted", producer.abort_transaction),
            (b"committed", producer.commit_transaction),
        ):
            producer.begin_transaction()
            producer.produce("t", value)
            producer.flush(30)
            ends(20)
        consumer = Consumer(
            {
                "bootstrap.servers": zones.far.address,
                "group.id": "g",
                "client.rack": "z1",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["t"])
        found: list[bytes] = []
        for _ in range(100):
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message.value() or b"")
            if len(found) == 2:
                break
        consumer.close()
        return found

    assert await asyncio.to_thread(write_and_read) == [b"first", b"committed"]
    assert zones.near.node._neighbours.near.fetched_bytes > 0


def told(*values: bytes, start: int, aborted: tuple[tuple[int, int, int], ...] = ()) -> ToldTail:
    data = b""
    for number, value in enumerate(values):
        record = bytearray(batch(value))
        patch(record, parse_batch(record, 0), base_offset=start + number, leader_epoch=0)
        data += bytes(record)
    end = start + len(values)
    return ToldTail(
        uid=1, committed=True, error=0, high_watermark=end, last_stable=end, log_start=0, aborted=aborted, records=data
    )


async def test_only_transactions_that_end_behind_the_reader_are_named() -> None:
    tail = NearTail(1, 0, committed=True, start=0, now=0)
    tail.take(told(b"a", b"b", b"marker", b"c", start=0, aborted=((7, 0, 2),)))
    tail.take(told(b"d", b"marker", start=4, aborted=((7, 4, 5),)))
    assert tail.read(0, 10_000, min_one=True).aborted == ((7, 0), (7, 4))
    assert tail.read(3, 10_000, min_one=True).aborted == ((7, 4),)
    assert tail.read(3, 1, min_one=True).aborted == ()
    for _ in range(3):
        tail.drop_oldest()
    assert (tail.holds(2), tail.holds(3), tail.holds(6), tail.holds(7)) == (False, True, True, False)
    assert tail.read(6, 100, min_one=True).data == []


async def test_a_replica_tells_who_writes_as_its_leader_does(zones: Zones) -> None:
    assert int((await produce(zones.leader, "t", batch(b"second", producer=7, sequence=0))).error_code) == 0
    by_leader, by_replica = [await describe_producers(wire) for wire in (zones.leader, zones.wire)]
    assert by_replica == by_leader and [one.producer_id for one in by_replica.active_producers] == [7]
    await zones.far.node._neighbours.server.stop()
    assert int((await describe_producers(zones.wire)).error_code) == NotLeaderOrFollower.code


async def describe_producers(wire: Wire) -> Any:
    found = await wire.ask(61, 0, topics=[{"name": "t", "partition_indexes": [0]}])
    return found.topics[0].partitions[0]
