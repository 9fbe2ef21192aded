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

from broker.api.appending import Answered, Appending
from broker.api.confirming import NOTHING_BEGUN, confirm
from broker.api.context import Context
from broker.api.registry import HangUp, register
from broker.security.access import Need, Operation, ResourceType
from broker.turns import EVERY
from broker.wire.produce import ProduceAnswer, ProducedPartition, ProduceRequest, decode_produce, encode_produce

KEY = 0


def _failed(request: ProduceRequest, _version: int, code: int) -> ProduceAnswer:
    topics = (
        (each.topic, tuple(ProducedPartition(index=part.index, error_code=code) for part in each.partitions))
        for each in request.topics
    )
    return ProduceAnswer(topics=tuple(topics))


def begin(context: Context, request: ProduceRequest, answered: Answered) -> bool:
    """Does all of a short request that has nothing to wait for but the disk; False for any other."""
    if request.transactional_id is not None or not request.acks or context.connection.appending.locked():
        return False
    if sum([len(each.partitions) for each in request.topics]) > EVERY:
        return False
    appending = Appending(context, request, answered)
    for each in request.topics:
        appending.append(each.topic, each.partitions, NOTHING_BEGUN)
    context.meter.client_request(context.connection, "produce")
    appending.appended()
    return True


@register(
    key=KEY,
    name="Produce",
    versions=(3, 13),
    advertised_low=0,
    decoder=decode_produce,
    encoder=encode_produce,
    failed=_failed,
    needs=(Need(operation=Operation.WRITE, resource=ResourceType.TOPIC),),
    begin=begin,
)
async def produce(context: Context, request: ProduceRequest, version: int) -> ProduceAnswer | None:
    """Appends everything, then waits for all of it; each partition fails or succeeds by itself."""
    answered: asyncio.Future[ProduceAnswer] = asyncio.get_running_loop().create_future()

    def tell(answer: ProduceAnswer | Exception) -> None:
        if answered.done():
            return
        if isinstance(answer, Exception):
            answered.set_exception(answer)
        else:
            answered.set_result(answer)

    async with context.connection.appending:
        begun = await confirm(context, request, version) if request.transactional_id is not None else NOTHING_BEGUN
        appending = Appending(context, request, tell)
        for each in request.topics:
            for first in range(0, len(each.partitions), EVERY):
                appending.append(each.topic, each.partitions[first : first + EVERY], begun)
                await context.turns.rest()
    context.meter.client_request(context.connection, "produce")
    appending.appended()
    answer = await answered
    if request.acks == 0:
        if answer.first_error:
            raise HangUp
        return None
    return answer
