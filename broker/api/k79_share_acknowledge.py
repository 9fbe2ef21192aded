"""ShareAcknowledge (79), versions 1 and 2: what became of records that a member of a share group was given (KIP-932).

Accepted, released, refused, or no record; from version 2 on also: kept for another while. A partition's words hold all
or not at all, and are stored before they are answered. The last request of a session (epoch -1) gives back what the
member holds. Who may read none of the topics it names is told so whatever it says of a session.
"""

from __future__ import annotations

from typing import Any

from broker.api import sharing
from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import InvalidShareSessionEpoch, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.shares.sessions import FINAL, INITIAL, Place
from broker.wire.encoder import Fields


@register(
    key=79,
    name="ShareAcknowledge",
    versions=(1, 2),
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
)
async def share_acknowledge(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself."""
    named = sharing.places(request.topics)
    try:
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id or "")
        group, member = sharing.check_names(request)
        said = sharing.words(request)
        outcomes: dict[Place, KafkaError | None] = _refused(context, named)
        if not named or len(outcomes) < len(set(named)):
            if request.share_session_epoch == INITIAL:
                raise InvalidShareSessionEpoch("a share session begins with ShareFetch")
            session = await sharing.session_of(context, group, member, request.share_session_epoch)
            outcomes |= await sharing.acknowledge(context, group, member, said)
            if request.share_session_epoch == FINAL:
                await sharing.end_session(context, session.key)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    return {
        "acquisition_lock_timeout": context.groups.share_limits(group).lock_ms,
        "responses": sharing.by_topic((place, _partition(place, outcomes.get(place))) for place in named),
        "node_endpoints": sharing.endpoints(context, outcomes.values()),
    }


def _refused(context: Context, named: list[Place]) -> dict[Place, KafkaError | None]:
    """Those of the partitions that the asker may not read."""
    found: dict[Place, KafkaError | None] = {}
    for place in named:
        try:
            allowed_topic(context, context.metadata.image, place[0], Operation.READ)
        except KafkaError as error:
            found[place] = error
    return found


def _partition(place: Place, error: KafkaError | None) -> Fields:
    return {
        "partition_index": place[1],
        "error_code": 0 if error is None else error.code,
        "error_message": None if error is None else error.message,
        "current_leader": sharing.leader(error),
    }
