"""DescribeUserScramCredentials (50), version 0: who has credentials of which mechanism. Never what they are made of."""

from __future__ import annotations

from collections import Counter
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import DuplicateResource, KafkaError, ResourceNotFound
from broker.metadata.image import Image
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.wire.encoder import Fields

_DESCRIBE = Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER)


@register(key=50, name="DescribeUserScramCredentials", versions=(0, 0), needs=(_DESCRIBE,))
async def describe_user_scram_credentials(context: Context, request: Any, version: int) -> Fields:
    """The asked users, each by itself, or all."""
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message, "results": ()}
    image: Image = await context.metadata.refresh()
    users: dict[str, list[Fields]] = {}
    for (name, mechanism), credential in sorted(image.scram.items(), key=lambda item: item[0]):
        users.setdefault(name, []).append({"mechanism": mechanism, "iterations": credential.iterations})
    asked = Counter([user.name for user in request.users] if request.users else users)
    return {"results": [_result(name, times, users.get(name)) for name, times in asked.items()]}


def _result(name: str, times: int, credentials: list[Fields] | None) -> Fields:
    if times > 1:
        error: KafkaError = DuplicateResource(f"user {name[:64]} was asked for {times} times")
    elif credentials is None:
        error = ResourceNotFound(f"user {name[:64]} has no SCRAM credentials")
    else:
        return {"user": name, "credential_infos": credentials}
    return {"user": name, "error_code": error.code, "error_message": error.message, "credential_infos": ()}
