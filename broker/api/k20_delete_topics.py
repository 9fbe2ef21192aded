"""DeleteTopics (20), versions 1 to 6, by name, and from 6 on by id. An internal topic cannot be deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import NONE, InvalidRequest, InvalidTopic, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=20,
    name="DeleteTopics",
    versions=(1, 6),
    failed=lambda request, version, code: _failed(request, version, code),
    needs=(Need(operation=Operation.DELETE, resource=ResourceType.TOPIC),),
)
async def delete_topics(context: Context, request: Any, version: int) -> Fields:
    """Each topic by itself."""
    return {"responses": [await _delete(context, key, strict=version >= 5) for key in _keys(request, version)]}


def _keys(request: Any, version: int) -> list[str | UUID | None]:
    if version < 6:
        return list(request.topic_names)
    return [asked.topic_id if asked.name is None else asked.name for asked in request.topics]


async def _delete(context: Context, key: str | UUID | None, *, strict: bool) -> Fields:
    try:
        if key is None:
            raise InvalidRequest("a topic to delete has neither name nor id")
        image = await context.metadata.refresh()
        topic = allowed_topic(context, image, key, Operation.DELETE)
        if topic.internal:
            raise InvalidTopic(f"{topic.name} is internal and cannot be deleted")
        context.quotas.mutate(context.connection, len(topic.partitions), strict=strict)
        await context.metadata.delete_topic(topic.id)
    except KafkaError as error:
        return _result(key, error.code, error.message)
    return {"name": topic.name, "topic_id": topic.id, "error_code": NONE}


def _result(key: str | UUID | None, code: int, message: str | None = None) -> Fields:
    name, topic_id = (key, None) if isinstance(key, str) else (None, key)
    return {"name": name, "topic_id": topic_id, "error_code": code, "error_message": message}


def _failed(request: Any, version: int, code: int) -> Fields:
    return {"responses": [_result(key, code) for key in _keys(request, version)]}
