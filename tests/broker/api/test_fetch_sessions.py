"""Fetch sessions: what changed is asked and answered, and nothing else; how many there may be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.api import fetch_sessions
from broker.api.fetch_sessions import EVICTION_S, FetchSessions
from broker.clock import SystemClock
from broker.errors import FetchSessionIdNotFound, FetchSessionTopicIdError, InvalidFetchSessionEpoch
from broker.wire.fetch import FetchPartition, FetchRequest, FetchTopic
from tests.broker.api.asking import batch, create, fetch_values, produce
from tests.broker.api.conftest import Broker, Wire


class WoundClock(SystemClock):
    """Stands still until it is wound."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def ask(session_id: int = 0, epoch: int = 0, *, partitions: int = 1, topic: Any = "t") -> FetchRequest:
    asked = tuple(FetchPartition(index=i, offset=0, max_bytes=100) for i in range(partitions))
    return FetchRequest(
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=100,
        isolation_level=0,
        session_id=session_id,
        session_epoch=epoch,
        rack="",
        topics=(FetchTopic(topic=topic, partitions=asked),) if partitions else (),
    )


@pytest.fixture
def clock() -> WoundClock:
    return WoundClock()


@pytest.fixture
def sessions(clock: WoundClock) -> FetchSessions:
    ids = iter(range(1, 1000))
    return FetchSessions(clock=clock, new_id=lambda: next(ids), slots=2)


def started(sessions: FetchSessions, partitions: int = 1) -> int:
    """The id of a new session; 0 when there was no place."""
    session = sessions.read(ask(partitions=partitions)).session
    return session.id if session is not None else 0


def test_a_full_cache_gives_no_session_while_all_are_in_use(sessions: FetchSessions) -> None:
    assert [started(sessions) for _ in range(3)] == [1, 2, 0]
    assert (len(sessions), sessions.partitions) == (2, 2)


def test_a_silent_session_makes_room(sessions: FetchSessions, clock: WoundClock) -> None:
    first, second = started(sessions), started(sessions)
    clock.now += EVICTION_S + 1
    sessions.read(ask(second, 1, partitions=0))
    assert started(sessions) > 0
    with pytest.raises(FetchSessionIdNotFound):
        sessions.read(ask(first, 1))


def test_an_old_small_session_makes_room_for_a_large_one(sessions: FetchSessions, clock: WoundClock) -> None:
    first, second = started(sessions, 5), started(sessions, 3)
    clock.now += EVICTION_S + 1
    for used in (first, second):
        sessions.read(ask(used, 1, partitions=0))
    assert started(sessions, 3) == 0
    assert started(sessions, 4) > 0
    with pytest.raises(FetchSessionIdNotFound):
        sessions.read(ask(second, 2))


def test_partitions_of_all_sessions_are_bounded(sessions: FetchSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_sessions, "MAX_PARTITIONS", 10)
    first = started(sessions, 8)
    assert (first > 0, started(sessions, 3)) == (True, 0)
    reading = sessions.read(ask(first, 1, partitions=11))
    assert (reading.session, len(reading.topics[0].partitions), sessions.partitions) == (None, 11, 0)


def test_an_epoch_is_used_once_and_the_last_is_followed_by_one(sessions: FetchSessions) -> None:
    found = sessions.read(ask()).session
    assert found is not None
    found.epoch = 2**31 - 1
    sessions.read(ask(found.id, 2**31 - 1))
    assert found.epoch == 1
    with pytest.raises(InvalidFetchSessionEpoch):
        sessions.read(ask(found.id, 2**31 - 1))


def test_a_session_names_topics_one_way(sessions: FetchSessions) -> None:
    import uuid

    first = started(sessions)
    with pytest.raises(FetchSessionTopicIdError):
        sessions.read(ask(first, 1, topic=uuid.UUID(int=5)))


async def session_fetch(wire: Wire, session: int, epoch: int, version: int = 12, **changes: Any) -> Any:
    values = fetch_values("t", session=session, session_epoch=epoch)
    return await wire.ask(1, version, **{**values, **changes})


async def test_only_what_changed_is_answered(wire: Wire) -> None:
    await create(wire, "t", partitions=2)
    part = fetch_values("t")["topics"][0]["partitions"][0]
    both = [{"topic": "t", "partitions": [{**part, "partition": i} for i in range(2)]}]
    first = await session_fetch(wire, 0, 0, topics=both)
    assert first.session_id > 0
    assert [p.partition_index for p in first.responses[0].partitions] == [0, 1]
    assert (await session_fetch(wire, first.session_id, 1, topics=[])).responses == ()
    await produce(wire, "t", batch(), index=1)
    grown = await session_fetch(wire, first.session_id, 2, topics=[])
    assert [(p.partition_index, p.high_watermark) for p in grown.responses[0].partitions] == [(1, 1)]
    moved = [{"topic": "t", "partitions": [{**part, "partition": 1, "fetch_offset": 1}]}]
    assert (await session_fetch(wire, first.session_id, 3, topics=moved)).responses == ()
    assert int((await session_fetch(wire, first.session_id, 3, topics=[])).error_code) == 71
    gone = [{"topic": "t", "partitions": (1,)}]
    await session_fetch(wire, first.session_id, 4, topics=[], forgotten_topics_data=gone)
    await produce(wire, "t", batch(), index=1)
    assert (await session_fetch(wire, first.session_id, 5, topics=[])).responses == ()
    ended = await session_fetch(wire, first.session_id, -1)
    assert (ended.session_id, len(ended.responses)) == (0, 1)
    assert int((await session_fetch(wire, first.session_id, 6, topics=[])).error_code) == 70


async def test_an_error_is_said_each_time(wire: Wire) -> None:
    first = await session_fetch(wire, 0, 0)
    assert int(first.responses[0].partitions[0].error_code) == 3
    again = await session_fetch(wire, first.session_id, 1, topics=[])
    assert int(again.responses[0].partitions[0].error_code) == 3


async def test_kafka_python_reads_through_a_session(broker: Broker, wire: Wire) -> None:
    await create(wire, "t", partitions=3)
    for index in range(3):
        await produce(wire, "t", batch(), index=index)

    def consume() -> int:
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=None)
        consumer.assign([TopicPartition("t", index) for index in range(3)])
        count = 0
        for _ in range(50):
            count += sum(map(len, consumer.poll(timeout_ms=200).values()))
            if count >= 4:
                break
        consumer.close()
        return count

    reading = asyncio.create_task(asyncio.to_thread(consume))
    async with asyncio.timeout(30):
        while not len(broker.node._fetch_sessions):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    (session,) = broker.node._fetch_sessions._sessions.values()
    async with asyncio.timeout(30):
        while session.epoch < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await produce(wire, "t", batch(), index=1)
    assert await reading == 4
