"""AlterUserScramCredentials (51), version 0: sets and removes users' SCRAM credentials, each user all or nothing.

The client sends a salted password: ask through a listener that encrypts. Sessions that are open stay so until they are
renewed (`connections.max.reauth.ms`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import (
    DuplicateResource,
    KafkaError,
    ResourceNotFound,
    UnacceptableCredential,
    UnsupportedSaslMechanism,
)
from broker.metadata.image import Image, ScramCredential
from broker.metadata.scram import User, alter_scram
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.security.scram import LEAST_ITERATIONS, MOST_ITERATIONS, Mechanism, kept
from broker.wire.encoder import Fields

_ALTER = Need(operation=Operation.ALTER, resource=ResourceType.CLUSTER)
_KNOWN = frozenset(map(int, Mechanism))
_MAX_NAME = 255


def _failed(request: Any, _version: int, code: int) -> Fields:
    return {"results": [{"user": name, "error_code": code} for name in _names(request)]}


@register(key=51, name="AlterUserScramCredentials", versions=(0, 0), failed=_failed, needs=(_ALTER,))
async def alter_user_scram_credentials(context: Context, request: Any, version: int) -> Fields:
    """Everything that is not refused, in one transaction."""
    context.access.check(Operation.ALTER, ResourceType.CLUSTER, CLUSTER_NAME)
    image: Image = await context.metadata.refresh()
    refused = _refused(request, image)
    put: dict[User, ScramCredential] = {
        (asked.name, asked.mechanism): kept(
            Mechanism(asked.mechanism), bytes(asked.salted_password), bytes(asked.salt), asked.iterations
        )
        for asked in request.upsertions
        if asked.name not in refused
    }
    delete = [(asked.name, asked.mechanism) for asked in request.deletions if asked.name not in refused]
    if put or delete:
        await context.metadata.change(lambda tx: alter_scram(tx, put, delete))
    return {"results": [_result(name, refused.get(name)) for name in _names(request)]}


def _names(request: Any) -> list[str]:
    return list(dict.fromkeys(asked.name for asked in (*request.deletions, *request.upsertions)))


def _refused(request: Any, image: Image) -> dict[str, KafkaError]:
    found: dict[str, KafkaError] = {}
    times = Counter((asked.name, asked.mechanism) for asked in (*request.deletions, *request.upsertions))
    for name, mechanism in times:
        if times[name, mechanism] > 1:
            found[name] = DuplicateResource("a user and mechanism stand in the request more than once")
        elif mechanism not in _KNOWN:
            found[name] = UnsupportedSaslMechanism(f"mechanism {mechanism}: 1 (SHA-256) and 2 (SHA-512) exist")
        elif not 0 < len(name) <= _MAX_NAME:
            found[name] = UnacceptableCredential(f"a user's name has 1 to {_MAX_NAME} characters")
    for asked in request.deletions:
        if asked.name not in found and (asked.name, asked.mechanism) not in image.scram:
            found[asked.name] = ResourceNotFound("there is no such credential to delete")
    for asked in request.upsertions:
        if not LEAST_ITERATIONS <= asked.iterations <= MOST_ITERATIONS:
            found[asked.name] = UnacceptableCredential(f"iterations: {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
        elif not 8 <= len(asked.salt) <= 256 or not asked.salted_password:
            found[asked.name] = UnacceptableCredential("a salt of 8 to 256 bytes, and a salted password")
    return found


def _result(name: str, error: KafkaError | None) -> Fields:
    if error is None:
        return {"user": name}
    return {"user": name, "error_code": error.code, "error_message": error.message}
