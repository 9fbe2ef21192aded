"""Before a transaction begins in a partition, its row must say that it may: asked once per transaction and partition,
for all partitions of a request together (KIP-890).

A guard is taken from each log first and handed to its append; a marker that comes in between voids it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from broker.api.context import Context
from broker.errors import (
    ConcurrentTransactions,
    CoordinatorNotAvailable,
    InvalidProducerEpoch,
    InvalidTxnState,
    KafkaError,
    NotEnoughReplicas,
    ProducerFenced,
)
from broker.log.producers import Guard
from broker.metadata.image import Image
from broker.metadata.transactions import Place
from broker.records.batch import Batch, parse
from broker.security.access import Operation, ResourceType
from broker.transactions.state import Claim
from broker.wire.produce import ProduceRequest

ADDS_FROM = 12
"""The version of Produce from which on partitions need not be added first."""
Key = tuple[str | UUID, int]
"""A partition, as the request names it."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """Where a transaction may begin, and where not."""

    guards: Mapping[Key, Guard] = field(default_factory=dict)
    refused: Mapping[Key, KafkaError] = field(default_factory=dict)

    def guard(self, topic: str | UUID, index: int) -> Guard | None:
        """None where nothing begins; raises why it may not."""
        if (error := self.refused.get((topic, index))) is not None:
            raise error
        return self.guards.get((topic, index))


NOTHING_BEGUN = Begun()


async def confirm(context: Context, request: ProduceRequest, version: int) -> Begun:
    """Asks for every partition of the request in which the transaction has not begun yet."""
    transactional_id = request.transactional_id or ""
    keys = [(each.topic, part.index) for each in request.topics for part in each.partitions]
    try:
        context.access.check(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id)
    except KafkaError as error:
        return Begun(refused=dict.fromkeys(keys, error))
    guards: dict[Key, Guard] = {}
    places: defaultdict[Claim, dict[Key, Place]] = defaultdict(dict)
    for each in request.topics:
        for part in each.partitions:
            found = _beginning(context, each.topic, part.index, part.records)
            if found is not None:
                claim, place, guard = found
                places[claim][each.topic, part.index] = place
                guards[each.topic, part.index] = guard
    refused: dict[Key, KafkaError] = {}
    for claim, asked in places.items():
        try:
            add = version >= ADDS_FROM
            await context.transactions.enlist(transactional_id, claim, list(asked.values()), add=add)
        except KafkaError as error:
            refused |= dict.fromkeys(asked, _for_version(error, version))
    return Begun(guards=guards, refused=refused)


def _beginning(
    context: Context, topic_key: str | UUID, index: int, records: memoryview | None
) -> tuple[Claim, Place, Guard] | None:
    """Who begins where; None where nothing begins, or where the append itself will say what is wrong."""
    image: Image = context.metadata.image
    topic = image.topic(topic_key)
    if topic is None or topic.internal or not context.access.allows(Operation.WRITE, ResourceType.TOPIC, topic.name):
        return None
    try:
        batch: Batch = parse(records or b"")
        log = context.logs.get(topic.name, index)
    except KafkaError:
        return None
    if not batch.is_transactional or log.producers.has_open(batch.producer_id, batch.producer_epoch):
        return None
    claim = Claim(producer_id=batch.producer_id, epoch=batch.producer_epoch)
    return claim, (topic.id, index), log.producers.guard(batch.producer_id)


def _for_version(error: KafkaError, version: int) -> KafkaError:
    """Older producers know fewer errors that may be retried; all know this one."""
    if isinstance(error, ProducerFenced):
        return InvalidProducerEpoch(error.message)
    if isinstance(error, InvalidTxnState):
        return error
    if version < ADDS_FROM and isinstance(error, ConcurrentTransactions | CoordinatorNotAvailable):
        return NotEnoughReplicas(f"the transaction could not be confirmed: {error.message}")
    return error
