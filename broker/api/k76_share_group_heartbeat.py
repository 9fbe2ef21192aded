"""ShareGroupHeartbeat (76), version 1: a member of a share group (KIP-932) joins, says what it reads, and is told which
partitions it is to fetch from; several members may be told the same one.

A name that another kind of group has is refused with GROUP_ID_NOT_FOUND, whether that group has members or not.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.k68_consumer_group_heartbeat import by_topic
from broker.api.registry import register
from broker.errors import InvalidRequest, KafkaError
from broker.groups.share_shapes import ShareBeat, ShareBeatAnswer
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_MAX_NAME = 255


@register(
    key=76,
    name="ShareGroupHeartbeat",
    versions=(1, 1),
    failed=lambda request, version, code: {"error_code": code, "member_id": request.member_id},
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),
    ),
)
async def share_group_heartbeat(context: Context, request: Any, version: int) -> Fields:
    """Answers at once."""
    try:
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
        for name in request.subscribed_topic_names or ():
            context.access.check(Operation.DESCRIBE, ResourceType.TOPIC, name)
        _check(request)
        answer: ShareBeatAnswer = await context.groups.shares.heartbeat(_beat(context, request))
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message, "member_id": request.member_id or None}
    return {
        "member_id": answer.member_id,
        "member_epoch": answer.epoch,
        "heartbeat_interval": answer.heartbeat_ms,
        "assignment": None if answer.assignment is None else {"topic_partitions": by_topic(answer.assignment)},
    }


def _beat(context: Context, request: Any) -> ShareBeat:
    names = request.subscribed_topic_names
    return ShareBeat(
        group_id=request.group_id,
        member_id=request.member_id,
        epoch=request.member_epoch,
        rack=request.rack_id,
        client_id=context.connection.client_id[:_MAX_NAME],
        client_host=f"/{context.connection.peer}",
        names=None if names is None else frozenset(names),
    )


def _check(request: Any) -> None:
    """InvalidRequest that says what is missing, or too much."""
    if not request.group_id:
        raise InvalidRequest("GroupId can't be empty.")
    if not 0 < len(request.member_id) <= _MAX_NAME or "\0" in request.member_id + request.group_id:
        raise InvalidRequest(f"MemberId has 1 to {_MAX_NAME} characters, and no NUL in it: members make their own")
    if len(request.rack_id or "x") > _MAX_NAME or request.rack_id == "" or "\0" in (request.rack_id or ""):
        raise InvalidRequest(f"RackId has 1 to {_MAX_NAME} characters, and no NUL in it; null leaves it out")
    if request.member_epoch < -1:
        raise InvalidRequest(f"MemberEpoch is {request.member_epoch}; it is -1 or more")
    if request.member_epoch == 0 and not request.subscribed_topic_names:
        raise InvalidRequest("SubscribedTopicNames must be set in first request.")
