"""Questions to the data itself: GET /api/views, GET /api/series, POST /api/sql. None of them changes anything."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from agent.loop.fleet import Fleet
from agent.serve.schemas import Named
from rules.views import VIEWS


class Sql(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sql: Annotated[str, Field(min_length=1, max_length=20_000)]
    window_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Over which the views, and `samples`, are taken."""
    cluster: Annotated[str, Field(max_length=249)] = ""
    """Whose; needed where there are several."""


def router(fleet: Fleet) -> APIRouter:
    """The three routes."""
    routes = APIRouter()

    @routes.get("/api/views", summary="The canonical views: what each is about, its key and its columns")
    def views() -> list[dict[str, Any]]:
        return [
            {"name": view.name, "about": view.about, "key": list(view.key), "columns": dict(view.columns)}
            for view in VIEWS.values()
        ]

    @routes.get("/api/series", summary="Series of one metric name with their points; label=key=value, repeatable")
    def series(
        name: Annotated[str, Query(min_length=1, max_length=500)],
        label: Annotated[list[str], Query(max_length=20)] = [],  # noqa: B006
        window_s: Annotated[float, Query(gt=0, le=7 * 86_400)] = 300.0,
        cluster: Named = "",
    ) -> dict[str, Any]:
        return fleet.series(name, label, window_s, cluster)

    @routes.post("/api/sql", summary="One SELECT over the views and samples, in a process with limits; changes nothing")
    def sql(body: Sql) -> dict[str, Any]:
        return fleet.one(body.cluster).queries.sql(body.sql, body.window_s)

    return routes
