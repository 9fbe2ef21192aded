"""Produce (0), versions 3 to 13: records into logs, answered when they are durable (law 1).

Version 0 is advertised though 3 is the lowest we read: librdkafka takes a higher minimum for a broker without
compression (KAFKA-18659). From version 8 errors carry a message, from 10 the current leader (KIP-951), from 13 topics
have ids.
A connection's requests append one after the other, in their order; a long one takes turns with other connections.
A transaction is confirmed before it begins in a partition (`confirming.py`); from version 12 on that also adds the
partition to it (KIP-890).
Deviation: acks=1 and acks=all mean the same: durable in the WAL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from broker.api.confirming import NOTHING_BEGUN, Begun, confirm
from broker.api.context import Context
from broker.api.registry import HangUp, register
from broker.api.topics import allowed_topic, configs_of, endpoints_on
from broker.configs import Configs
from broker.errors import (
    InvalidRecord,
    InvalidRequiredAcks,
    InvalidTopic,
    InvalidTxnState,
    KafkaError,
    LeaderMoved,
    MessageTooLarge,
    RequestTimedOut,
    UnsupportedForMessageFormat,
    code_of,
)
from broker.metadata.image import Image, Topic
from broker.records.batch import batches, check_produced, is_transactional, stamp
from broker.records.contents import LyingRecords, lacks_key
from broker.security.access import Need, Operation, ResourceType
from broker.turns import EVERY
from broker.wire.produce import (
    ProduceAnswer,
    ProducedPartition,
    ProducePartition,
    ProduceRequest,
    ProduceTopic,
    decode_produce,
    encode_produce,
)

KEY = 0
_ACKS = (0, 1, -1)
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Into:
    """What holds for all partitions of a topic, as long as one request is appended."""

    topic: Topic
    is_compacted: bool
    most_bytes: int
    """max.message.bytes"""
    is_stamped: bool
    """Whether timestamps are the broker's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pending:
    """Records on their way to the disk, or why they are not."""

    topic: str
    asked: ProducePartition
    result: asyncio.Future[Any] | Exception


def _failed(request: ProduceRequest, _version: int, code: int) -> ProduceAnswer:
    topics = (
        (each.topic, tuple(ProducedPartition(index=part.index, error_code=code) for part in each.partitions))
        for each in request.topics
    )
    return ProduceAnswer(topics=tuple(topics))


@register(
    key=KEY,
    name="Produce",
    versions=(3, 13),
    advertised_low=0,
    decoder=decode_produce,
    encoder=encode_produce,
    failed=_failed,
    needs=(Need(operation=Operation.WRITE, resource=ResourceType.TOPIC),),
)
async def produce(context: Context, request: ProduceRequest, version: int) -> ProduceAnswer | None:
    """Appends everything, then waits for all of it; each partition fails or succeeds by itself."""
    current = configs_of(context)
    image: Image = context.metadata.image
    async with context.connection.appending:
        begun = await confirm(context, request, version) if request.transactional_id is not None else NOTHING_BEGUN
        pending = [
            (each.topic, await _append_all(context, image, current, request, each, begun)) for each in request.topics
        ]
    context.meter.client_request(context.connection, "produce")
    await _settle([one.result for _, ones in pending for one in ones], request)
    topics = tuple([(key, await _answers(context, ones)) for key, ones in pending])
    failed = [part for _, parts in topics for part in parts if part.error_code]
    if request.acks == 0:
        if failed:
            raise HangUp
        return None
    leaders = {part.leader for part in failed if part.leader >= 0}
    endpoints = endpoints_on(image, leaders, context.connection.listener) if leaders else ()
    return ProduceAnswer(topics=topics, endpoints=endpoints, throttle_ms=context.logs.throttle_ms())


async def _append_all(
    context: Context, image: Image, current: Configs, request: ProduceRequest, each: ProduceTopic, begun: Begun
) -> list[_Pending]:
    into = _into(context, image, current, each.topic)
    pending = []
    for number, asked in enumerate(each.partitions, 1):
        pending.append(_append(context, request, each.topic, into, asked, begun))
        if number % EVERY == 0:
            await context.turns.rest()
    return pending


def _into(context: Context, image: Image, current: Configs, key: str | UUID) -> _Into | KafkaError:
    """Looked up once for all partitions of a topic; or why nobody may write there."""
    try:
        topic = allowed_topic(context, image, key, Operation.WRITE)
    except KafkaError as error:
        return error
    return _Into(
        topic=topic,
        is_compacted="compact" in current.topic("cleanup.policy", topic.configs).value,
        most_bytes=int(current.topic("max.message.bytes", topic.configs).value),
        is_stamped=current.topic("message.timestamp.type", topic.configs).value == "LogAppendTime",
    )


async def _answers(context: Context, ones: Sequence[_Pending]) -> tuple[ProducedPartition, ...]:
    answers = []
    for number, one in enumerate(ones, 1):
        answers.append(_answer(context, one))
        if number % EVERY == 0:
            await context.turns.rest()
    return tuple(answers)


def _append(
    context: Context,
    request: ProduceRequest,
    key: str | UUID,
    into: _Into | KafkaError,
    asked: ProducePartition,
    begun: Begun,
) -> _Pending:
    """Queues the records of one partition; does not wait, and raises nothing that belongs to this partition only."""
    if isinstance(into, KafkaError):
        return _Pending(topic=str(key), asked=asked, result=into)
    name = into.topic.name
    try:
        records = _checked(request, into, asked)
        log = context.logs.get(name, asked.index)
        if into.is_stamped:
            for batch in check_produced(records):
                stamp(records, batch, context.clock.wall_ms())
        guard = begun.guard(key, asked.index)
        return _Pending(topic=name, asked=asked, result=log.append(records, acks=request.acks, guard=guard))
    except KafkaError as error:
        return _Pending(topic=name, asked=asked, result=error)


def _checked(request: ProduceRequest, into: _Into, asked: ProducePartition) -> memoryview:
    if request.acks not in _ACKS:
        raise InvalidRequiredAcks(f"acks is {request.acks}; 0, 1 and -1 (all) exist")
    if into.topic.internal:
        raise InvalidTopic(f"{into.topic.name} is internal and takes no records")
    if not asked.records:
        raise InvalidRecord("no record batch for the partition")
    if request.transactional_id is None and is_transactional(asked.records):
        raise InvalidTxnState("a transactional batch in a request without a transactional id")
    if into.is_compacted:
        _check_keys(asked.records, into.topic)
    if len(asked.records) > into.most_bytes:
        largest = max(batch.size_bytes for batch in batches(asked.records))
        if largest > into.most_bytes:
            raise MessageTooLarge(
                f"a batch of {largest} bytes; max.message.bytes of {into.topic.name} is {into.most_bytes}"
            )
    return asked.records


def _check_keys(records: memoryview, topic: Topic) -> None:
    """A compacted topic needs keys. What is compressed is not opened here (law 2): the cleaner drops it."""
    for batch in batches(records):
        try:
            if batch.codec == "none" and lacks_key(records, batch):
                raise InvalidRecord(f"{topic.name} is compacted: every record needs a key")
        except LyingRecords as error:
            raise InvalidRecord(f"the records of a batch for {topic.name} cannot be read: {error}") from error


async def _settle(results: list[asyncio.Future[Any] | Exception], request: ProduceRequest) -> None:
    """Waits for what is on its way, at most as long as the producer would. Nobody is cancelled: the WAL will finish.

    By hand, since `asyncio.wait` costs a third of a small request.
    """
    waiting = [result for result in results if isinstance(result, asyncio.Future) and not result.done()]
    if not waiting:
        return
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    left = len(waiting)

    def one_less(_: asyncio.Future[Any]) -> None:
        nonlocal left
        left -= 1
        if not left:
            _end(over)

    for result in waiting:
        result.add_done_callback(one_less)
    patience = loop.call_later(min(max(request.timeout_ms, 1) / 1000, _LONGEST_WAIT_S), _end, over)
    try:
        await over
    finally:
        patience.cancel()


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def _answer(context: Context, one: _Pending) -> ProducedPartition:
    fault = _fault(one.result)
    if fault is not None:
        return _refused(one.asked.index, fault)
    assert isinstance(one.result, asyncio.Future)
    appended = one.result.result()
    for batch in batches(one.asked.records or b""):
        context.meter.produced(
            context.connection, one.topic, one.asked.index, batch.size_bytes, batch.count, batch.codec
        )
    return ProducedPartition(
        index=one.asked.index,
        base_offset=appended.base_offset,
        log_append_time_ms=appended.log_append_time_ms,
        log_start=appended.log_start,
    )


def _fault(result: asyncio.Future[Any] | Exception) -> BaseException | None:
    """Why the records were not taken; None when they were."""
    if isinstance(result, Exception):
        return result
    if not result.done():
        return RequestTimedOut("the records were not durable in time; they may become so")
    return result.exception()


def _refused(index: int, error: BaseException) -> ProducedPartition:
    known = error if isinstance(error, LeaderMoved) else None
    code = code_of(error)
    if isinstance(error, UnsupportedForMessageFormat):
        code = InvalidRecord.code  # what Kafka answers to an old format inside a new request
    return ProducedPartition(
        index=index,
        error_code=code,
        error_message=error.message if isinstance(error, KafkaError) else None,
        leader=-1 if known is None else known.leader,
        leader_epoch=-1 if known is None else known.epoch,
    )
