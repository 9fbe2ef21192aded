"""GET /api/events: server-sent events. the kept ones, then each as it happens, and a comment when all is quiet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from agent.loop.agent import Agent
from agent.loop.events import Event

KEEP_ALIVE_S = 10.0
"""A quiet stream says so this often, so that a client knows the line is not dead."""


def router(agent: Agent) -> APIRouter:
    """The one route."""
    routes = APIRouter()

    @routes.get("/api/events", summary="Server-sent events: rounds, findings, plans")
    async def events(request: Request) -> StreamingResponse:
        last = request.headers.get("last-event-id", "")
        stream = _stream(agent, int(last) if last.isdigit() else 0)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


async def _stream(agent: Agent, after: int) -> AsyncIterator[str]:
    with agent.bus.listen() as queue:
        sent = after
        for event in agent.bus.kept():
            if event.n > sent:
                sent = event.n
                yield _frame(event)
        while not agent.stopping:
            try:
                event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": quiet\n\n"
                continue
            if event.n > sent:
                sent = event.n
                yield _frame(event)


def _frame(event: Event) -> str:
    body = json.dumps({"at": event.at, **event.data})
    return f"id: {event.n}\nevent: {event.kind}\ndata: {body}\n\n"
