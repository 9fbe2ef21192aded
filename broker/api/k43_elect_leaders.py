"""ElectLeaders (43), versions 0 to 2: leadership goes back to replicas[0], by a move; answered when the moves are done.

Only this, a reassignment or a drain moves leadership back: a broker that returns takes nothing by itself.
Deviation: an unclean election has nothing to choose from, since every acknowledged record is in the object store or in
a WAL: a partition without a leader waits for that WAL's recovery, and is answered ELIGIBLE_LEADERS_NOT_AVAILABLE.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import (
    ElectionNotNeeded,
    EligibleLeadersNotAvailable,
    InvalidRequest,
    KafkaError,
    PreferredLeaderNotAvailable,
    RequestTimedOut,
    UnknownTopicOrPartition,
)
from broker.metadata import moves
from broker.metadata.image import Image, Partition
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_PREFERRED, _UNCLEAN = 0, 1
_LONGEST_WAIT_S = 60.0

Outcome = KafkaError | None
Where = tuple[str, int]


def _failed(request: Any, _version: int, code: int) -> Fields:
    """Version 0 has no error but the partitions'."""
    asked = [(each.topic, index) for each in request.topic_partitions or () for index in each.partitions]
    topics: dict[str, list[Fields]] = {}
    for topic, index in asked:
        topics.setdefault(topic, []).append({"partition_id": index, "error_code": code})
    results = [{"topic": topic, "partition_result": found} for topic, found in topics.items()]
    return {"error_code": code, "replica_election_results": results}


_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER)


@register(key=43, name="ElectLeaders", versions=(0, 2), failed=_failed, needs=(_ALTER,))
async def elect_leaders(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself. Asked for all, those that need no election are left out, as Kafka does."""
    context.access.check(Operation.ALTER, ResourceType.CLUSTER, CLUSTER_NAME)
    kind = getattr(request, "election_type", _PREFERRED)
    if kind not in (_PREFERRED, _UNCLEAN):
        raise InvalidRequest(f"election type {kind}: 0 (preferred) and 1 (unclean) exist")
    image: Image = await context.metadata.refresh()
    asked = _asked(image, request)
    outcome: dict[Where, Outcome] = {where: _judge(kind, image, partition) for where, partition in asked.items()}
    going = {where: part for where, part in asked.items() if part is not None and outcome[where] is None}
    if going:
        late = await _elect(context, list(going.values()), request.timeout.total_seconds())
        outcome |= {where: RequestTimedOut("the move goes on") for where, part in going.items() if part.uid in late}
    if request.topic_partitions is None:
        outcome = {where: what for where, what in outcome.items() if not isinstance(what, ElectionNotNeeded)}
    return {"replica_election_results": _results(outcome)}


def _asked(image: Image, request: Any) -> dict[Where, Partition | None]:
    if request.topic_partitions is None:
        return {(p.topic, p.index): p for topic in image.topics.values() for p in topic.partitions}
    return {
        (each.topic, index): image.partition(each.topic, index)
        for each in request.topic_partitions
        for index in each.partitions
    }


def _judge(kind: int, image: Image, partition: Partition | None) -> Outcome:
    """Why there is no election; None when leadership shall move."""
    if partition is None:
        return UnknownTopicOrPartition("there is no such partition")
    leader = image.brokers.get(partition.owner)
    led = leader is not None and leader.alive
    if kind == _UNCLEAN:
        if led:
            return ElectionNotNeeded(f"broker {partition.owner} leads")
        return EligibleLeadersNotAvailable("its last owner's records await recovery; nothing is given up for a leader")
    if not partition.replicas or partition.owner == partition.replicas[0]:
        return ElectionNotNeeded(f"broker {partition.owner} is the preferred leader and leads")
    preferred = image.brokers.get(partition.replicas[0])
    if preferred is None or not preferred.alive or not led:
        return PreferredLeaderNotAvailable(f"broker {partition.replicas[0]} would lead and is not alive")
    return None


async def _elect(context: Context, going: Collection[Partition], seconds: float) -> set[int]:
    """Starts the moves and waits for them; the uids of those that took too long."""
    uids = {each.uid for each in going}
    await context.metadata.change(lambda tx: moves.prefer(tx, uids))
    await context.logs.announce()

    def left(image: Image) -> set[int]:
        now = ((each, image.partition(each.topic_id, each.index)) for each in going)
        return {each.uid for each, at in now if at is not None and at.owner != each.replicas[0]}

    try:
        async with asyncio.timeout(min(max(seconds, 0.0), _LONGEST_WAIT_S)):
            await context.metadata.until(lambda image: not left(image))
    except TimeoutError:
        return left(context.metadata.image)
    return set()


def _results(outcome: Mapping[Where, Outcome]) -> list[Fields]:
    topics: dict[str, list[Fields]] = {}
    for (topic, index), error in outcome.items():
        result: Fields = {"partition_id": index}
        if error is not None:
            result = {"partition_id": index, "error_code": error.code, "error_message": error.message}
        topics.setdefault(topic, []).append(result)
    return [{"topic": topic, "partition_result": results} for topic, results in topics.items()]
