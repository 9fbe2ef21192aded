"""The GETs under /api/: what the agent knows, as JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from agent.loop.fleet import Fleet
from agent.model.codec import to_json
from agent.model.finding import Risk, Silence
from agent.model.plan import Plan
from agent.serve.schemas import Named, answers


def router(fleet: Fleet) -> APIRouter:
    """Routes that change nothing."""
    routes = APIRouter()
    _health(routes, fleet)
    _findings(routes, fleet)
    _cluster(routes, fleet)
    return routes


def _health(routes: APIRouter, fleet: Fleet) -> None:
    @routes.get("/healthz", summary="The process answers")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz", summary="A round has been completed")
    def ready() -> Response:
        return JSONResponse({"ready": fleet.ready}, status_code=200 if fleet.ready else 503)

    @routes.get("/api/status", summary="Versions, rounds, sources, what the agent itself costs")
    def status(cluster: Named = "") -> dict[str, Any]:
        return fleet.status(cluster)


def _findings(routes: APIRouter, fleet: Fleet) -> None:
    @routes.get(
        "/api/findings",
        summary="Risks that are open; all=1 for the resolved and folded ones too",
        responses=answers(list[Risk]),
    )
    def findings(all: bool = False, cluster: Named = "") -> list[Any]:
        return list(to_json(fleet.risks(cluster, every=all)))

    @routes.get("/api/findings/{id}", summary="One risk", responses=answers(Risk))
    def finding(id: str) -> Any:
        return to_json(fleet.of_risk(id).risk(id))

    @routes.get("/api/silences", summary="Why each quiet rule is quiet", responses=answers(list[Silence]))
    def silences(cluster: Named = "") -> list[Any]:
        return list(to_json(fleet.silences(cluster)))

    @routes.get("/api/plans", summary="Plans, the newest first", responses=answers(list[Plan]))
    def plans(cluster: Named = "") -> list[Any]:
        return list(to_json(fleet.plans(cluster)))

    @routes.get("/api/plans/{id}", summary="One plan with its diff and steps", responses=answers(Plan))
    def plan(id: str) -> Any:
        return to_json(fleet.of_plan(id).plan(id))

    @routes.get("/api/audit", summary="The record of every action, and whether its chain is whole")
    def audit(limit: int = Query(200, ge=1, le=5000)) -> dict[str, Any]:
        return fleet.audit(limit)


def _cluster(routes: APIRouter, fleet: Fleet) -> None:
    @routes.get("/api/overview", summary="Brokers, their last points, totals, cost per hour")
    def overview(cluster: Named = "") -> dict[str, Any]:
        return fleet.one(cluster).overview()

    @routes.get("/api/cost", summary="Cost by component, topic, client, group or zone; what it was, what it would be")
    def cost(
        by: str = "component",
        what_if: list[str] = Query([], max_length=8, description="traffic=3x, flush=250ms, spot, kafka:rf=3"),
        since_s: float = Query(0.0, ge=0, le=62 * 86400, description="with the metered hours of so many seconds"),
        bill: bool = Query(False, description="with the bill by component, and the meter against it"),
        cluster: Named = "",
    ) -> dict[str, Any]:
        return fleet.one(cluster).cost(by, what_if, since_s, bill=bill)

    @routes.get("/api/views/{name}", summary="A canonical view, now")
    def view(name: str, window_s: float = Query(60.0, gt=0, le=86400), cluster: Named = "") -> list[dict[str, Any]]:
        return fleet.view(name, window_s, cluster)

    @routes.get("/api/rules", summary="The catalogue in force")
    def rules() -> list[dict[str, Any]]:
        return fleet.house.rules()
