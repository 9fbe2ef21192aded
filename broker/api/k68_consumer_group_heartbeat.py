"""ConsumerGroupHeartbeat (68), versions 0 and 1: a member of a group whose partitions the broker assigns (KIP-848).

Members join (epoch 0), tell what they read and own, and are told what they shall; the assignors are uniform and range.
From version 1 on members make their own ids, and may subscribe by a pattern (RE2), which never stands for an internal
topic. Members' racks are stored, and change nothing in who gets what: every broker can serve every partition near.
Groups change their protocol while they are empty, either way, and keep their offsets.
Deviation: a group does not change its protocol while it has members; a member of the other one is refused.
"""

from __future__ import annotations

import uuid
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import InvalidRequest, KafkaError
from broker.groups.assignors import Places
from broker.groups.consumer_shapes import BeatAnswer, Heartbeat
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_MAX_NAME = 255


@register(
    key=68,
    name="ConsumerGroupHeartbeat",
    versions=(0, 1),
    failed=lambda request, version, code: {"error_code": code, "member_id": request.member_id},
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.DESCRIBE, resource=ResourceType.TOPIC),
    ),
)
async def consumer_group_heartbeat(context: Context, request: Any, version: int) -> Fields:
    """Answers at once: nobody waits for anybody in this protocol."""
    try:
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
        for name in request.subscribed_topic_names or ():
            context.access.check(Operation.DESCRIBE, ResourceType.TOPIC, name)
        answer = await context.groups.consumers.heartbeat(_beat(context, request, version))
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message, "member_id": request.member_id or None}
    return _answer(answer)


def _beat(context: Context, request: Any, version: int) -> Heartbeat:
    timeout_s = request.rebalance_timeout.total_seconds()
    names, regex = request.subscribed_topic_names, getattr(request, "subscribed_topic_regex", None)
    owned = request.topic_partitions
    _check(request, version, timeout_s)
    return Heartbeat(
        group_id=request.group_id,
        member_id=request.member_id or str(uuid.uuid4()),
        epoch=request.member_epoch,
        instance_id=request.instance_id,
        rack=request.rack_id,
        client_id=context.connection.client_id[:_MAX_NAME],
        client_host=f"/{context.connection.peer}",
        rebalance_timeout_s=timeout_s if timeout_s >= 0 else None,
        names=None if names is None else frozenset(names),
        regex=regex,
        assignor=request.server_assignor,
        owned=None if owned is None else _places(owned),
        may_see=lambda name: context.access.allows(Operation.DESCRIBE, ResourceType.TOPIC, name),
    )


def _check(request: Any, version: int, timeout_s: float) -> None:
    """InvalidRequest that says what is missing, or too much."""
    if not request.group_id:
        raise InvalidRequest("GroupId can't be empty.")
    if not request.member_id and (version >= 1 or request.member_epoch != 0):
        raise InvalidRequest("MemberId can't be empty: from version 1 on members make their own")
    if len(request.member_id) > _MAX_NAME or len(request.instance_id or "") > _MAX_NAME:
        raise InvalidRequest(f"MemberId and InstanceId can't be longer than {_MAX_NAME} characters")
    if "\0" in request.member_id:
        raise InvalidRequest("MemberId can't have a NUL in it: it could not be stored")
    if request.instance_id == "" or request.rack_id == "" or request.server_assignor == "":
        raise InvalidRequest("InstanceId, RackId and ServerAssignor can't be empty; null leaves them out")
    if request.member_epoch < -2:
        raise InvalidRequest(f"MemberEpoch is {request.member_epoch}; it is -2 or more")
    if request.member_epoch == -2 and request.instance_id is None:
        raise InvalidRequest("InstanceId can't be null for a member that will be back.")
    if request.member_epoch != 0:
        return
    if timeout_s < 0:
        raise InvalidRequest("RebalanceTimeoutMs must be provided in first request.")
    if request.topic_partitions:
        raise InvalidRequest("TopicPartitions must be empty when (re-)joining.")
    if request.subscribed_topic_names is None and not getattr(request, "subscribed_topic_regex", None):
        raise InvalidRequest("SubscribedTopicNames or SubscribedTopicRegex must be set in first request.")


def _places(owned: Any) -> Places:
    return frozenset((topic.topic_id, index) for topic in owned for index in topic.partitions)


def _answer(answer: BeatAnswer) -> Fields:
    return {
        "member_id": answer.member_id,
        "member_epoch": answer.epoch,
        "heartbeat_interval": round(answer.heartbeat_s * 1000),
        "assignment": None if answer.assignment is None else {"topic_partitions": by_topic(answer.assignment)},
    }


def by_topic(places: Places) -> list[Fields]:
    """Partitions as the wire has them."""
    found: dict[uuid.UUID, list[int]] = {}
    for topic, index in sorted(places):
        found.setdefault(topic, []).append(index)
    return [{"topic_id": topic, "partitions": indexes} for topic, indexes in found.items()]
