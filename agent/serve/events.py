"""GET /api/events: server-sent events. the kept ones, then each as it happens, and a comment when all is quiet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from agent.loop.events import Event
from agent.loop.fleet import Fleet
from agent.serve.schemas import Named

KEEP_ALIVE_S = 10.0
"""A quiet stream says so this often, so that a client knows the line is not dead."""


def router(fleet: Fleet) -> APIRouter:
    """The one route."""
    routes = APIRouter()

    @routes.get("/api/events", summary="Server-sent events: rounds, findings, plans")
    async def events(request: Request, cluster: Named = "") -> StreamingResponse:
        last = request.headers.get("last-event-id", "")
        fleet.each(cluster)
        stream = _stream(fleet, cluster, int(last) if last.isdigit() else 0)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


async def _stream(fleet: Fleet, cluster: str, after: int) -> AsyncIterator[str]:
    with fleet.house.bus.listen() as queue:
        sent = after
        for event in fleet.house.bus.kept():
            if event.n > sent and _wanted(event, cluster):
                sent = event.n
                yield _frame(event)
        while not fleet.stopping:
            try:
                event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": quiet\n\n"
                continue
            if event.n > sent and _wanted(event, cluster):
                sent = event.n
                yield _frame(event)


def _wanted(event: Event, cluster: str) -> bool:
    return not cluster or event.data.get("cluster") == cluster


def _frame(event: Event) -> str:
    body = json.dumps({"at": event.at, **event.data})
    return f"id: {event.n}\nevent: {event.kind}\ndata: {body}\n\n"
