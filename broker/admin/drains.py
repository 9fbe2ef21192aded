"""Drains: everything a broker owns goes to others, coordinators included. For maintenance, scale-in and spot notices.

A drain is what the metadata says (a cordon, and targets), so any broker can be asked to drain any other, and it goes on
when the one that was asked is gone. What is kept here is only when it was asked for, to tell how it goes.
"""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import Any

from broker.admin.brokers import check_known
from broker.admin.errors import AdminError
from broker.admin.progress import Drain
from broker.admin.routes import Answer, Asked, Broker, Field, Route
from broker.metadata import doomed, moves
from broker.metadata.database import Tx

DEADLINE_S = 20.0
MAX_DEADLINE_S = 120.0
KEPT = 100
"""Drains whose progress can be asked for; the oldest is forgotten first."""


async def drain(broker: Broker, asked: Asked) -> Answer:
    id = asked.values["broker"]
    await broker.metadata.refresh()
    check_known(broker, id)
    now = broker.clock.monotonic()
    total = await broker.metadata.change(lambda tx: _drain(tx, id))
    deadline_s = float(asked.values.get("deadline_s", DEADLINE_S))
    number = max(broker.drains, default=0) + 1
    mine = Drain(id=number, broker=id, total=total, begun=now, deadline=now + deadline_s)
    broker.drains[number] = mine
    if len(broker.drains) > KEPT:
        del broker.drains[min(broker.drains)]
    await broker.logs.announce()
    ended = asyncio.get_running_loop().create_task(_end(broker, mine))
    broker.watching.add(ended)
    ended.add_done_callback(broker.watching.discard)
    if not asked.values.get("wait", False):
        return HTTPStatus.ACCEPTED, _progress(broker, mine)
    await asyncio.wait([ended], timeout=deadline_s)
    status = HTTPStatus.OK if mine.seconds is not None else HTTPStatus.GATEWAY_TIMEOUT
    return status, _progress(broker, mine)


def _drain(tx: Tx, id: int) -> int:
    doomed.disown(tx, id)
    return moves.drain(tx, id)


async def _end(broker: Broker, drain: Drain) -> None:
    """Notes when the last partition has left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_DEADLINE_S):
            await broker.metadata.until(lambda image: image.owned_by(drain.broker) == 0)
            drain.seconds = broker.clock.monotonic() - drain.begun
            broker.logs.stats.drains += 1
    status = "error" if drain.seconds is None else "ok"
    broker.logs.stats.on_operation("drain", status, broker.clock.monotonic() - drain.begun)


async def follow(broker: Broker, asked: Asked) -> Answer:
    found = broker.drains.get(asked.ids["id"])
    if found is None:
        raise AdminError(
            f"broker {broker.id} was not asked for a drain {asked.ids['id']}",
            next="ask the broker that was, or GET /admin/v1/partitions?broker=ID",
            status=HTTPStatus.NOT_FOUND,
        )
    await broker.metadata.refresh()
    return HTTPStatus.OK, _progress(broker, found)


def _progress(broker: Broker, drain: Drain) -> dict[str, Any]:
    left, now = broker.metadata.image.owned_by(drain.broker), broker.clock.monotonic()
    state = "done" if left == 0 else "late" if now > drain.deadline else "draining"
    return {
        "id": drain.id,
        "broker": drain.broker,
        "state": state,
        "partitions": drain.total,
        "partitions_left": left,
        "seconds": round(drain.seconds if drain.seconds is not None else now - drain.begun, 3),
    }


ROUTES = (
    Route(
        method="POST",
        path="/admin/v1/drain",
        summary="Cordons a broker and moves everything it owns to others; GET /admin/v1/drains/{id} tells how it goes.",
        answer=drain,
        status=HTTPStatus.ACCEPTED,
        body={
            "broker": Field(kind="integer", about="which broker", required=True),
            "deadline_s": Field(
                kind="number", about="seconds after which it counts as late; it goes on", least=0.1, most=MAX_DEADLINE_S
            ),
            "wait": Field(kind="boolean", about="answer when it is done (200), or late (504)"),
        },
    ),
    Route(
        method="GET",
        path="/admin/v1/drains/{id}",
        summary="How a drain goes: draining, late or done, and what is left.",
        answer=follow,
    ),
)
