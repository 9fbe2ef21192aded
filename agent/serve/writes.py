"""The POSTs under /api/: planning, approval, rollback, questions, mutes. The token was checked before they run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agent.loop.agent import Agent
from agent.loop.announcements import Announcement
from agent.model.codec import to_json
from agent.model.plan import Plan
from agent.serve.schemas import answers


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Proposal(_Body):
    risk: Annotated[str, Field(max_length=200)] = ""
    """A risk's id; empty: every open risk."""


class Decision(_Body):
    note: Annotated[str, Field(max_length=500)] = ""
    by: Annotated[str, Field(max_length=100)] = ""
    """The person, as the client's machine names them; the token's name is added."""


class Question(_Body):
    question: Annotated[str, Field(min_length=1, max_length=2000)]


class Mute(_Body):
    resource: Annotated[str, Field(max_length=600)] = ""
    rule: Annotated[str, Field(max_length=40)] = ""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    until: datetime


class Told(_Body):
    kind: Annotated[str, Field(max_length=40)]
    """deploy, maintenance, scale, spot_notice or note."""
    resource: Annotated[str, Field(max_length=600)] = ""
    detail: Annotated[str, Field(max_length=500)] = ""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    until: AwareDatetime | None = None


def router(agent: Agent) -> APIRouter:
    """Routes that change something, and the one that asks."""
    routes = APIRouter()

    @routes.post("/api/plans", summary="Make plans for a risk, or for every open one")
    def propose(body: Proposal) -> dict[str, Any]:
        return agent.propose(body.risk or None)

    @routes.post(
        "/api/plans/{id}/approve",
        summary="Approve: it runs in the background and is verified",
        status_code=202,
        responses=answers(Plan, 202),
    )
    def approve(id: str, body: Decision) -> Any:
        return to_json(agent.approve(id, by=body.by, note=body.note))

    @routes.post("/api/plans/{id}/reject", summary="Reject: it will not run", responses=answers(Plan))
    def reject(id: str, body: Decision) -> Any:
        return to_json(agent.reject(id, by=body.by, note=body.note))

    @routes.post(
        "/api/plans/{id}/rollback",
        summary="Take it back, to the exact state from before",
        status_code=202,
        responses=answers(Plan, 202),
    )
    def rollback(id: str, body: Decision) -> Any:
        return to_json(agent.rollback(id, by=body.by, note=body.note))

    @routes.post("/api/ask", summary="A question in plain words; changes nothing")
    def ask(body: Question) -> dict[str, Any]:
        return agent.ask(body.question)

    @routes.post(
        "/api/mutes", summary="Silence a rule or a resource until a time, with an owner and a reason", status_code=201
    )
    def mute(body: Mute) -> dict[str, Any]:
        return agent.mute(body.model_dump(mode="json"))

    @routes.post("/api/events", summary="Announce a deploy, maintenance, scale, spot_notice or note", status_code=201)
    def told(body: Told) -> dict[str, Any]:
        return agent.announce(Announcement(**body.model_dump()))

    return routes
