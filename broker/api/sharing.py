"""What ShareFetch and ShareAcknowledge have in common: a member's words on records, and the session they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.topics import allowed_topic, endpoints_on
from broker.errors import InvalidRequest, KafkaError, LeaderMoved
from broker.security.access import Operation
from broker.shares.sessions import INITIAL, Key, Place, ShareSession
from broker.shares.shares import Share
from broker.shares.window import Said, Word
from broker.turns import EVERY
from broker.wire.encoder import Fields

Outcomes = Mapping[Place, KafkaError | None]
_MAX_NAME = 255


def check_names(request: Any) -> tuple[str, str]:
    """The group and the member. InvalidRequest where they are missing, or cannot be."""
    group, member = request.group_id or "", request.member_id or ""
    if not 0 < len(group) <= 32_767 or not 0 < len(member) <= _MAX_NAME or "\0" in group + member:
        raise InvalidRequest(f"GroupId and MemberId must be set, MemberId to {_MAX_NAME} characters at most")
    return group, member


def places(topics: Iterable[Any]) -> list[Place]:
    """The partitions that a request names."""
    return [(topic.topic_id or UUID(int=0), _index(part)) for topic in topics for part in topic.partitions]


def _index(part: Any) -> int:
    return int(part if isinstance(part, int) else part.partition_index)


def words(request: Any) -> dict[Place, list[Said]]:
    """What the request says of records, by partition. InvalidRequest where one comes twice, or renews unannounced."""
    found: dict[Place, list[Said]] = {}
    for topic in request.topics:
        for part in topic.partitions:
            if not part.acknowledgement_batches:
                continue
            place = (topic.topic_id or UUID(int=0), _index(part))
            if place in found:
                raise InvalidRequest(f"partition {place[1]} of {place[0]} is acknowledged twice in one request")
            found[place] = [
                Said(first=each.first_offset, last=each.last_offset, words=each.acknowledge_types)
                for each in part.acknowledgement_batches
            ]
    renews = any(Word.RENEW in said.words for batches in found.values() for said in batches)
    if renews and not getattr(request, "is_renew_ack", False):
        raise InvalidRequest("acknowledgement 4 renews a lock: from version 2 on, in a request that says IsRenewAck")
    return found


async def share_of(context: Context, group: str, place: Place, *, fresh: bool = False) -> Share:
    """The group's window over a partition that the asker may read and that is led here."""
    topic = allowed_topic(context, context.metadata.image, place[0], Operation.READ)
    share: Share = await context.shares.open(group, context.logs.get(topic.name, place[1]), fresh=fresh)
    share.window.trim(share.log.log_start)
    return share


async def acknowledge(context: Context, group: str, member: str, said: Mapping[Place, list[Said]]) -> Outcomes:
    """Takes the words, each partition's by itself."""
    outcomes: dict[Place, KafkaError | None] = {}
    for number, (place, batches) in enumerate(said.items(), 1):
        try:
            share = await share_of(context, group, place)
            await context.shares.acknowledge(share, member, batches)
            outcomes[place] = None
        except KafkaError as error:
            outcomes[place] = error
        if number % EVERY == 0:
            await context.turns.rest()
    return outcomes


async def session_of(context: Context, group: str, member: str, epoch: int) -> ShareSession:
    """The session that a request belongs to. A new one ends the one that its member had, and all it held comes back."""
    if epoch == INITIAL:
        await end_session(context, (group, member))
    session: ShareSession = context.shares.sessions.use((group, member), epoch, context.connection)
    context.connection.shares = True
    return session


async def end_session(context: Context, key: Key) -> None:
    """The member reads nothing here any more, and what it holds comes back."""
    session = context.shares.sessions.end(key)
    if session is not None:
        await context.shares.release(session)


def leader(error: KafkaError | None) -> Fields:
    """Who leads, where an error knows."""
    if isinstance(error, LeaderMoved):
        return {"leader_id": error.leader, "leader_epoch": error.epoch}
    return {"leader_id": -1, "leader_epoch": -1}


def endpoints(context: Context, errors: Iterable[KafkaError | None]) -> list[Fields]:
    """Where those leaders are reached."""
    leaders = {error.leader for error in errors if isinstance(error, LeaderMoved) and error.leader >= 0}
    found = endpoints_on(context.metadata.image, leaders, context.connection.listener) if leaders else ()
    return [{"node_id": each.broker_id, "host": each.host, "port": each.port, "rack": each.rack} for each in found]


def by_topic(parts: Iterable[tuple[Place, Fields]]) -> list[Fields]:
    """Partitions' answers as the wire has them."""
    found: dict[UUID, list[Fields]] = {}
    for (topic, _), fields in parts:
        found.setdefault(topic, []).append(fields)
    return [{"topic_id": topic, "partitions": fields} for topic, fields in found.items()]
