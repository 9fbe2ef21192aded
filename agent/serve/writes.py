"""The POSTs under /api/: planning, approval, rollback, questions, mutes. The token was checked before they run."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from agent.loop.announcements import Announcement
from agent.loop.fleet import Fleet
from agent.model.codec import to_json
from agent.model.plan import Plan
from agent.serve.schemas import answers


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Of(_Body):
    cluster: Annotated[str, Field(max_length=249)] = ""
    """Which one is meant, where there are several."""


class Proposal(_Of):
    risk: Annotated[str, Field(max_length=200)] = ""
    """A risk's id; empty: every open risk."""


class Decision(_Body):
    note: Annotated[str, Field(max_length=500)] = ""
    by: Annotated[str, Field(max_length=100)] = ""
    """The person, as the client's machine names them; the token's name is added."""


class Question(_Of):
    question: Annotated[str, Field(min_length=1, max_length=2000)]


class Mute(_Of):
    resource: Annotated[str, Field(max_length=600)] = ""
    rule: Annotated[str, Field(max_length=40)] = ""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    until: datetime


class Told(_Of):
    kind: Annotated[str, Field(max_length=40)]
    """deploy, maintenance, scale, spot_notice or note."""
    resource: Annotated[str, Field(max_length=600)] = ""
    detail: Annotated[str, Field(max_length=500)] = ""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    until: AwareDatetime | None = None


def router(fleet: Fleet) -> APIRouter:
    """Routes that change something, and the one that asks."""
    routes = APIRouter()

    @routes.post("/api/plans", summary="Make plans for a risk, or for every open one")
    def propose(body: Proposal) -> dict[str, Any]:
        return fleet.propose(body.risk, body.cluster)

    @routes.post(
        "/api/plans/{id}/approve",
        summary="Approve: it runs in the background and is verified",
        status_code=202,
        responses=answers(Plan, 202),
    )
    def approve(id: str, body: Decision) -> Any:
        return to_json(fleet.of_plan(id).approve(id, by=body.by, note=body.note))

    @routes.post("/api/plans/{id}/reject", summary="Reject: it will not run", responses=answers(Plan))
    def reject(id: str, body: Decision) -> Any:
        return to_json(fleet.of_plan(id).reject(id, by=body.by, note=body.note))

    @routes.post(
        "/api/plans/{id}/rollback",
        summary="Take it back, to the exact state from before",
        status_code=202,
        responses=answers(Plan, 202),
    )
    def rollback(id: str, body: Decision) -> Any:
        return to_json(fleet.of_plan(id).rollback(id, by=body.by, note=body.note))

    @routes.post("/api/ask", summary="A question in plain words; changes nothing")
    def ask(body: Question) -> dict[str, Any]:
        return fleet.one(body.cluster).ask(body.question)

    @routes.post(
        "/api/mutes", summary="Silence a rule or a resource until a time, with an owner and a reason", status_code=201
    )
    def mute(body: Mute, request: Request) -> dict[str, Any]:
        document = body.model_dump(mode="json", exclude={"cluster"})
        return fleet.mute(document, body.cluster, by=f"{request.state.token}:{body.owner}")

    @routes.post("/api/events", summary="Announce a deploy, maintenance, scale, spot_notice or note", status_code=201)
    def told(body: Told, request: Request) -> dict[str, Any]:
        by = f"{request.state.token}:{body.owner}"
        return fleet.announce(Announcement(**body.model_dump(exclude={"cluster"}), by=by), body.cluster)

    return routes
