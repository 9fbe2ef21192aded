"""ShareFetch (78), versions 1 and 2: records for a member of a share group (KIP-932), each with it alone for a while;
and what became of those it had before.

A request waits until there is a record for it, anything went wrong, or `max_wait_ms` is over. Records are given in
whole batches, of about `max_records`; from version 2 on in that number exactly, where it asks so. Bytes are bounded by
the request and by `fetch.max.bytes`, and those of a partition by 1 MiB, or one batch. A session that ends with its
connection, or for a new one, gives back what its member holds. What is given counts for the fetch quota.
Deviations: `min_bytes` is not waited for, one record is enough; `batch_size` is not heeded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.api import sharing
from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import broker_number
from broker.errors import InvalidRequest, KafkaError
from broker.security.access import Need, Operation, ResourceType
from broker.shares.sessions import FINAL, INITIAL, Place, ShareSession
from broker.shares.shares import Share, wake
from broker.shares.spans import found
from broker.shares.window import Acquired
from broker.turns import EVERY
from broker.wire.encoder import Fields

_LONGEST_WAIT_S = 60.0
_MOST_RECORDS = 10_000
_AT_ONCE_BYTES = 1 << 20
"""Of a partition: a client asks for 500 records within 50 MB, and reading 50 MB to give 500 records is no help."""
_EXACTLY = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    """One partition's part of the answer."""

    records: bytes = b""
    acquired: Sequence[Acquired] = ()
    error: KafkaError | None = None


@dataclass(kw_only=True, slots=True)
class _Round:
    """One look at all partitions of a session."""

    bytes_left: int
    records_left: int
    exact: bool
    committed: bool
    given: dict[Place, _Given] = field(default_factory=dict)
    shares: list[Share] = field(default_factory=list)
    moved: bool = False
    """Whether something was passed over that is no record: there may be more behind it."""


@register(
    key=78,
    name="ShareFetch",
    versions=(1, 2),
    needs=(
        Need(operation=Operation.READ, resource=ResourceType.GROUP),
        Need(operation=Operation.READ, resource=ResourceType.TOPIC),
    ),
    drop_when_gone=True,
)
async def share_fetch(context: Context, request: Any, version: int) -> Fields:
    """Takes the member's words first, then looks, waits, and looks again."""
    try:
        context.access.check(Operation.READ, ResourceType.GROUP, request.group_id or "")
        group, member = sharing.check_names(request)
        said = sharing.words(request)
        if said and request.share_session_epoch == INITIAL:
            raise InvalidRequest("the first request of a share session cannot acknowledge anything")
        session = await sharing.session_of(context, group, member, request.share_session_epoch)
        _change(context, session, request)
        outcomes = await sharing.acknowledge(context, group, member, said)
        if request.share_session_epoch == FINAL:
            await sharing.end_session(context, session.key)
            given: dict[Place, _Given] = {}
        elif getattr(request, "is_renew_ack", False):
            given = {}
        else:
            given = await _given(context, request, session)
    except KafkaError as error:
        return {"error_code": error.code, "error_message": error.message}
    return _answer(context, group, given, outcomes)


def _change(context: Context, session: ShareSession, request: Any) -> None:
    """What the session reads from now on."""
    if request.share_session_epoch != FINAL:
        forgotten = sharing.places(request.forgotten_topics_data)
        context.shares.sessions.change(session, sharing.places(request.topics), forgotten)


async def _given(context: Context, request: Any, session: ShareSession) -> dict[Place, _Given]:
    context.meter.client_request(context.connection, "fetch")
    wait_s = min(max(request.max_wait.total_seconds(), 0), _LONGEST_WAIT_S)
    deadline = context.clock.monotonic() + wait_s
    while True:
        look = await _look(context, request, session)
        seconds_left = deadline - context.clock.monotonic()
        if look.given or seconds_left <= 0:
            return look.given
        if look.moved:
            await context.turns.rest()
        else:
            await _wait(context, look, seconds_left)


async def _look(context: Context, request: Any, session: ShareSession) -> _Round:
    group, member = session.key
    look = _Round(
        bytes_left=min(max(request.max_bytes, 0), broker_number(context, "fetch.max.bytes")),
        records_left=min(request.max_records, _MOST_RECORDS) if request.max_records > 0 else _MOST_RECORDS,
        exact=getattr(request, "share_acquire_mode", 0) == _EXACTLY,
        committed=context.groups.share_limits(group).isolation == "read_committed",
    )
    for number, place in enumerate(list(session.places), 1):
        if look.given and (look.bytes_left <= 0 or look.records_left <= 0):
            break
        try:
            share = await sharing.share_of(context, group, place, fresh=place in session.fresh)
            session.fresh.discard(place)
            look.shares.append(share)
            await _read(context, look, share, place, member)
        except KafkaError as error:
            look.given[place] = _Given(error=error)
        if number % EVERY == 0:
            await context.turns.rest()
    for place in look.given:
        session.gave(place)
    return look


async def _read(context: Context, look: _Round, share: Share, place: Place, member: str) -> None:
    """What there is of one partition."""
    window, log = share.window, share.log
    if not window.has_room(context.shares.room(share)):
        return
    offset = window.next_offset()
    if offset >= (log.last_stable if look.committed else log.high_watermark):
        return
    most = min(look.bytes_left, _AT_ONCE_BYTES)
    part = await log.read(offset, most, min_one=True, committed=look.committed)
    read = found(part, offset, committed=look.committed)
    before = (window.end, window.available)
    given = context.shares.give(share, member, read, look.records_left, exact=look.exact)
    if not given:
        look.moved = look.moved or share.closed or (window.end, window.available) != before
        return
    records = b"".join(read.bytes_of(given))
    look.bytes_left -= len(records)
    look.records_left -= sum(each.last - each.first + 1 for each in given)
    look.given[place] = _Given(records=records, acquired=given)
    context.meter.fetched(context.connection, log.topic, log.index, len(records))


async def _wait(context: Context, look: _Round, seconds: float) -> None:
    """Until there may be a record for this member: one was written, or one came back."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        for number, share in enumerate(look.shares, 1):
            share.tell(future)
            if share.window.has_room(context.shares.room(share)):
                share.log.tell(share.window.next_offset(), future, committed=look.committed)
            if number % EVERY == 0:
                await context.turns.rest()
        await asyncio.wait((future,), timeout=seconds)
    finally:
        if future.done() and not future.cancelled():
            future.exception()
        wake((future,))


def _answer(context: Context, group: str, given: dict[Place, _Given], outcomes: sharing.Outcomes) -> Fields:
    nothing = _Given()
    places = [*given, *(place for place in outcomes if place not in given)]
    parts = [(place, _partition(place, given.get(place, nothing), outcomes.get(place))) for place in places]
    errors = [*outcomes.values(), *(each.error for each in given.values())]
    return {
        "acquisition_lock_timeout": context.groups.share_limits(group).lock_ms,
        "responses": sharing.by_topic(parts),
        "node_endpoints": sharing.endpoints(context, errors),
    }


def _partition(place: Place, given: _Given, refusal: KafkaError | None) -> Fields:
    error = given.error
    return {
        "partition_index": place[1],
        "error_code": 0 if error is None else error.code,
        "error_message": None if error is None else error.message,
        "acknowledge_error_code": 0 if refusal is None else refusal.code,
        "acknowledge_error_message": None if refusal is None else refusal.message,
        "current_leader": sharing.leader(error if error is not None else refusal),
        "records": given.records,
        "acquired_records": [
            {"first_offset": each.first, "last_offset": each.last, "delivery_count": min(each.count, 32_767)}
            for each in given.acquired
        ],
    }
