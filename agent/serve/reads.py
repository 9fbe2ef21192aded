"""The GETs under /api/: what the agent knows, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from agent.loop.agent import Agent
from agent.model.codec import to_json
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan
from agent.serve.schemas import answers


def router(agent: Agent) -> APIRouter:
    """Routes that change nothing."""
    routes = APIRouter()
    _health(routes, agent)
    _findings(routes, agent)
    _cluster(routes, agent)
    return routes


def _health(routes: APIRouter, agent: Agent) -> None:
    @routes.get("/healthz", summary="The process answers")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", summary="A round has been completed")
    def ready() -> Response:
        return JSONResponse({"ready": agent.ready}, status_code=200 if agent.ready else 503)

    @routes.get("/api/status", summary="Versions, rounds, sources, what the agent itself costs")
    def status() -> dict[str, Any]:
        return agent.status()


def _findings(routes: APIRouter, agent: Agent) -> None:
    @routes.get(
        "/api/findings",
        summary="Risks that are open; all=1 for the resolved and folded ones too",
        responses=answers(list[Risk]),
    )
    def findings(all: bool = False) -> list[Any]:
        return list(to_json(agent.risks(every=all)))

    @routes.get("/api/findings/{id}", summary="One risk", responses=answers(Risk))
    def finding(id: str) -> Any:
        return to_json(agent.risk(id))

    @routes.get("/api/silences", summary="Why each quiet rule is quiet", responses=answers(list[Silence]))
    def silences() -> list[Any]:
        return list(to_json(agent.silences()))

    @routes.get("/api/plans", summary="Plans, the newest first", responses=answers(list[Plan]))
    def plans() -> list[Any]:
        return list(to_json(agent.plans()))

    @routes.get("/api/plans/{id}", summary="One plan with its diff and steps", responses=answers(Plan))
    def plan(id: str) -> Any:
        return to_json(agent.plan(id))

    @routes.get("/api/audit", summary="The record of every action, and whether its chain is whole")
    def audit(limit: int = Query(200, ge=1, le=5000)) -> dict[str, Any]:
        return agent.audit(limit)


def _cluster(routes: APIRouter, agent: Agent) -> None:
    @routes.get("/api/overview", summary="Brokers, their last points, totals, cost per hour")
    def overview() -> dict[str, Any]:
        return agent.overview()

    @routes.get("/api/cost", summary="Cost by component, topic, client, group or zone; what it was, what it would be")
    def cost(
        by: str = "component",
        what_if: list[str] = Query([], max_length=8, description="traffic=3x, flush=250ms, spot, kafka:rf=3"),
        since_s: float = Query(0.0, ge=0, le=62 * 86400, description="with the metered hours of so many seconds"),
        bill: bool = Query(False, description="with the bill by component, and the meter against it"),
    ) -> dict[str, Any]:
        return agent.cost(by, what_if, since_s, bill=bill)

    @routes.get("/api/views/{name}", summary="A canonical view, now")
    def view(name: str, window_s: float = Query(60.0, gt=0, le=86400)) -> list[dict[str, Any]]:
        return agent.view(name, window_s)

    @routes.get("/api/rules", summary="The catalogue in force")
    def rules() -> list[dict[str, Any]]:
        return agent.rules()
