"""CreatePartitions (37), versions 0 to 3: a topic grows, it never shrinks. Bounded as CreateTopics is."""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.room import Room
from broker.api.topics import allowed_topic
from broker.errors import InvalidPartitions, InvalidReplicaAssignment, InvalidTopic, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"results": [{"name": asked.name, "error_code": code} for asked in request.topics]}


_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.TOPIC)


@register(key=37, name="CreatePartitions", versions=(0, 3), failed=_failed, needs=(_ALTER,))
async def create_partitions(context: Context, request: Any, version: int) -> Fields:
    """Each topic by itself."""
    answers, room = [], Room(context)
    for asked in request.topics:
        try:
            await _grow(context, asked, room, request.validate_only, strict=version >= 3)
            answers.append({"name": asked.name})
        except KafkaError as error:
            answers.append({"name": asked.name, "error_code": error.code, "error_message": error.message})
    return {"results": answers}


async def _grow(context: Context, asked: Any, room: Room, validate_only: bool, *, strict: bool) -> None:
    image = await context.metadata.refresh()
    topic = allowed_topic(context, image, asked.name, Operation.ALTER)
    if topic.internal:
        raise InvalidTopic(f"{topic.name} is internal; its partitions are fixed")
    now = len(topic.partitions)
    if asked.count <= now:
        raise InvalidPartitions(f"Topic currently has {now} partitions, which is not less than {asked.count}")
    room.take(asked.count - now)
    assignments = None
    if asked.assignments is not None:
        if len(asked.assignments) != asked.count - now:
            raise InvalidReplicaAssignment(
                f"{asked.count - now} partitions are to be added, {len(asked.assignments)} assignments were given"
            )
        assignments = {now + step: tuple(each.broker_ids) for step, each in enumerate(asked.assignments)}
    if not validate_only:
        context.quotas.mutate(context.connection, asked.count - now, strict=strict)
        await context.metadata.add_partitions(asked.name, asked.count, assignments)
        await context.logs.announce(context.metadata.image.topics[asked.name].partitions[now:])
