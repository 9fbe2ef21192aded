"""JoinGroup (11), versions 0 to 9: a member asks to be in the next generation, and waits for it.

From 4 on a new member is first given an id (MEMBER_ID_REQUIRED); from 5 on it may be static.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError, MemberIdRequired
from broker.groups.shapes import JoinAnswer, JoinRequest
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields

_MAX_NAME = 255


@register(
    key=11,
    name="JoinGroup",
    versions=(0, 9),
    failed=lambda request, version, code: _refusal(version, code, request.member_id),
    needs=(Need(operation=Operation.READ, resource=ResourceType.GROUP),),
)
async def join_group(context: Context, request: Any, version: int) -> Fields:
    """Answers when the rebalance is over."""
    context.access.check(Operation.READ, ResourceType.GROUP, request.group_id)
    try:
        answer = await context.groups.join(_request(context, request, version))
    except MemberIdRequired as error:
        return _refusal(version, error.code, error.message)
    except KafkaError as error:
        return _refusal(version, error.code, request.member_id)
    return _answer(answer, version)


def _request(context: Context, request: Any, version: int) -> JoinRequest:
    session_s = request.session_timeout.total_seconds()
    rebalance_s = request.rebalance_timeout.total_seconds() if version >= 1 else session_s
    instance_id = getattr(request, "group_instance_id", None)
    return JoinRequest(
        group_id=request.group_id,
        member_id=request.member_id,
        instance_id=instance_id,
        client_id=context.connection.client_id[:_MAX_NAME],
        client_host=f"/{context.connection.peer}",
        session_timeout_s=session_s,
        rebalance_timeout_s=rebalance_s if rebalance_s > 0 else session_s,
        protocol_type=request.protocol_type,
        protocols=tuple((protocol.name, bytes(protocol.metadata)) for protocol in request.protocols),
        requires_known_id=version >= 4 and instance_id is None,
        may_skip_assignment=version >= 9,
    )


def _answer(answer: JoinAnswer, version: int) -> Fields:
    members = [
        {"member_id": member_id, "group_instance_id": instance_id, "metadata": metadata}
        for member_id, instance_id, metadata in answer.members
    ]
    return {
        "generation_id": answer.generation,
        "protocol_type": answer.protocol_type,
        "protocol_name": answer.protocol if version >= 7 else answer.protocol or "",
        "leader": answer.leader,
        "skip_assignment": answer.skip_assignment,
        "member_id": answer.member_id,
        "members": members,
    }


def _refusal(version: int, code: int, member_id: str) -> Fields:
    name = None if version >= 7 else ""
    return {"error_code": code, "generation_id": -1, "protocol_name": name, "leader": "", "member_id": member_id}
