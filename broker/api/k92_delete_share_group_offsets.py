"""DeleteShareGroupOffsets (92), version 0: a share group without members forgets topics (KIP-932); should it read them
again, it begins as a new one.

Who may read none of the topics is told so, whatever the group is.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


@register(
    key=92,
    name="DeleteShareGroupOffsets",
    versions=(0, 0),
    needs=(
        Need(operation=Operation.DELETE, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def delete_share_group_offsets(context: Context, request: Any, version: int) -> Fields:
    """All that can be, at once; each topic is told by itself."""
    topics: set[UUID] = set()
    responses: list[Fields] = []
    for asked in request.topics:
        try:
            topic = allowed_topic(context, context.metadata.image, asked.topic_name, Operation.READ)
        except KafkaError as error:
            told = {"topic_id": UUID(int=0), "error_code": error.code, "error_message": error.message}
            responses.append({"topic_name": asked.topic_name, **told})
            continue
        topics.add(topic.id)
        responses.append({"topic_name": topic.name, "topic_id": topic.id})
    try:
        context.access.check(Operation.DELETE, ResourceType.GROUP, request.group_id)
        if topics:
            await context.groups.shares.forget(request.group_id, topics)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    return {"responses": responses}
