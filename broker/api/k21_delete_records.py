"""DeleteRecords (21), versions 0 to 2: raises the start of a log for good; -1 deletes up to the high watermark.

ListOffsets and Fetch follow at once; so do restarts and moves: the new start is in the metadata before the answer.
A topic that is only compacted keeps its records (PolicyViolation), as in Kafka.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic, configs_of
from broker.errors import NONE, InvalidTopic, KafkaError, PolicyViolation
from broker.metadata.image import Topic
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    topics = []
    for topic in request.topics:
        partitions = [_refused(asked.partition_index, code) for asked in topic.partitions]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


_DELETE = Need(operation=Operation.DELETE, resource=ResourceType.TOPIC)


@register(key=21, name="DeleteRecords", versions=(0, 2), failed=_failed, needs=(_DELETE,))
async def delete_records(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself, at its leader."""
    topics = []
    for topic in request.topics:
        partitions = [await _delete(context, topic.name, asked) for asked in topic.partitions]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


async def _delete(context: Context, name: str, asked: Any) -> Fields:
    try:
        _check_allowed(context, allowed_topic(context, context.metadata.image, name, Operation.DELETE))
        log = context.logs.get(name, asked.partition_index)
        start = await log.delete_records(asked.offset, now_ms=context.clock.wall_ms())
    except KafkaError as error:
        return _refused(asked.partition_index, error.code)
    return {"partition_index": asked.partition_index, "low_watermark": start, "error_code": NONE}


def _check_allowed(context: Context, topic: Topic) -> None:
    if topic.internal:
        raise InvalidTopic(f"{topic.name} is internal: its records cannot be deleted")
    policy = configs_of(context).topic("cleanup.policy", topic.configs).value
    if "delete" not in policy.split(","):
        raise PolicyViolation(f"{topic.name} has cleanup.policy={policy}: its records go by key, not by offset")


def _refused(index: int, code: int) -> Fields:
    return {"partition_index": index, "low_watermark": -1, "error_code": code}
