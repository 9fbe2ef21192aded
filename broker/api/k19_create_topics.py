"""CreateTopics (19), versions 2 to 7. Any broker does it: the truth is in SQL, not at a controller.

More partitions than `max.partitions.per.request`, or in the cluster than `max.partitions`, are INVALID_PARTITIONS.
Deviation: a replication factor larger than the cluster is accepted and capped, since replicas only say who may lead.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from broker.api.context import Context
from broker.api.k03_metadata import may_create
from broker.api.registry import register
from broker.api.room import Room
from broker.api.topics import broker_number, check_collision, check_name, checked_configs, configs_of
from broker.configs import TOPIC_CONFIGS, Configs
from broker.errors import (
    InvalidPartitions,
    InvalidReplicaAssignment,
    InvalidReplicationFactor,
    InvalidRequest,
    KafkaError,
    TopicAlreadyExists,
    TopicAuthorizationFailed,
)
from broker.metadata.image import Topic
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"topics": [{"name": asked.name, "error_code": code} for asked in request.topics]}


_ANY_TOPIC = Need(operation=Operation.CREATE, resource=ResourceType.CLUSTER)
_CREATE = Need(operation=Operation.CREATE, resource=ResourceType.TOPIC, instead=(_ANY_TOPIC,))


@register(key=19, name="CreateTopics", versions=(2, 7), failed=_failed, needs=(_CREATE,))
async def create_topics(context: Context, request: Any, version: int) -> Fields:
    """Each topic by itself: one that cannot be created does not hold up the others. Answered when the leaders serve."""
    times = Counter(asked.name for asked in request.topics)
    answers, room = [], Room(context)
    for name in times:
        asked = next(topic for topic in request.topics if topic.name == name)
        try:
            if times[name] > 1:
                raise InvalidRequest(f"Create topics request has the topic {name} {times[name]} times")
            answers.append(await _create(context, asked, room, request.validate_only, strict=version >= 6))
        except KafkaError as error:
            answers.append({"name": name, "error_code": error.code, "error_message": error.message})
    image = context.metadata.image
    made = (image.topic(answer["name"]) for answer in answers if not answer.get("error_code"))
    if new := [each for topic in made if topic is not None for each in topic.partitions]:
        await context.logs.announce(new)
    return {"topics": answers}


async def _create(context: Context, asked: Any, room: Room, validate_only: bool, *, strict: bool) -> Fields:
    image = context.metadata.image
    if not may_create(context, asked.name):
        raise TopicAuthorizationFailed(f"CREATE is not allowed on topic {asked.name[:64]}")
    check_name(asked.name)
    if image.topic(asked.name) is not None:
        raise TopicAlreadyExists(f"Topic '{asked.name}' already exists")
    check_collision(asked.name, image)
    current = configs_of(context)
    configs = checked_configs({config.name: config.value for config in asked.configs}, current)
    assignments = _assignments(asked)
    partitions, factor = _sizes(context, asked, assignments)
    room.take(partitions)
    if validate_only:
        return _described(context, asked.name, None, partitions, factor, configs, current)
    context.quotas.mutate(context.connection, partitions, strict=strict)
    topic: Topic = await context.metadata.create_topic(
        asked.name, partitions=partitions, replication_factor=factor, assignments=assignments, configs=configs
    )
    factor = len(topic.partitions[0].replicas)
    return _described(context, topic.name, topic, len(topic.partitions), factor, topic.configs, current)


def _assignments(asked: Any) -> dict[int, tuple[int, ...]] | None:
    if not asked.assignments:
        return None
    if asked.num_partitions != -1 or asked.replication_factor != -1:
        raise InvalidRequest("Give partitions and replication factor, or assignments, not both")
    assignments = {each.partition_index: tuple(each.broker_ids) for each in asked.assignments}
    if sorted(assignments) != list(range(len(asked.assignments))):
        raise InvalidReplicaAssignment("partitions in assignments must be 0, 1, 2, ... without gaps")
    if any(not brokers or len(set(brokers)) != len(brokers) for brokers in assignments.values()):
        raise InvalidReplicaAssignment("each partition needs at least one broker, and none twice")
    return assignments


def _sizes(context: Context, asked: Any, assignments: dict[int, tuple[int, ...]] | None) -> tuple[int, int]:
    """(partitions, replication factor), the broker's defaults for -1."""
    if assignments is not None:
        return len(assignments), len(assignments[0])
    partitions, factor = asked.num_partitions, asked.replication_factor
    if partitions == -1:
        partitions = broker_number(context, "num.partitions")
    if factor == -1:
        factor = broker_number(context, "default.replication.factor")
    if partitions < 1:
        raise InvalidPartitions(f"Number of partitions was set to {partitions}; it must be larger than 0")
    if factor < 1:
        raise InvalidReplicationFactor(f"Replication factor was set to {factor}; it must be larger than 0")
    return partitions, factor


def _described(
    context: Context, name: str, topic: Topic | None, partitions: int, factor: int, own: Any, current: Configs
) -> Fields:
    """What was made. Its configs are told to whom may describe them."""
    topic_id = None if topic is None else topic.id
    if not context.access.allows(Operation.DESCRIBE_CONFIGS, ResourceType.TOPIC, name):
        hidden = TopicAuthorizationFailed.code
        return {"name": name, "topic_id": topic_id, "topic_config_error_code": hidden, "configs": None}
    values = [current.topic(config, own) for config in sorted(TOPIC_CONFIGS)]
    return {
        "name": name,
        "topic_id": topic_id,
        "num_partitions": partitions,
        "replication_factor": factor,
        "configs": [{"name": v.key.name, "value": v.value, "config_source": int(v.source)} for v in values],
    }
