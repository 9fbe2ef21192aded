"""The admin API, mounted at /admin/: a guard, a table of routes, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from broker.admin import brokers, cluster, drains
from broker.admin.errors import AdminError
from broker.admin.guard import Guard
from broker.admin.openapi import document
from broker.admin.routes import Answer, Asked, Broker, Route, checked, from_query
from broker.errors import InvalidRequest, KafkaError, KafkaStorageError, ResourceNotFound
from broker.http import Reply, Request

PREFIX = "/admin/"
_STATUSES: dict[type[KafkaError], HTTPStatus] = {
    ResourceNotFound: HTTPStatus.NOT_FOUND,
    InvalidRequest: HTTPStatus.CONFLICT,
    KafkaStorageError: HTTPStatus.SERVICE_UNAVAILABLE,
}


async def _describe(broker: Broker, asked: Asked) -> Answer:
    return HTTPStatus.OK, document(ROUTES)


ROUTES: Sequence[Route] = (
    *cluster.ROUTES,
    *brokers.ROUTES,
    *drains.ROUTES,
    Route(method="GET", path="/admin/v1/openapi.json", summary="This API, as OpenAPI 3.1.", answer=_describe),
)


class Admin:
    """Answers requests below PREFIX."""

    def __init__(self, broker: Broker, guard: Guard) -> None:
        self._broker, self._guard = broker, guard

    async def serve(self, request: Request) -> Reply:
        try:
            self._guard.check(request)
            status, answer = await self._answer(request)
        except AdminError as error:
            status, answer = error.status, _error(str(error), error.status, error.next)
        except KafkaError as error:
            known = (status for kind, status in _STATUSES.items() if isinstance(error, kind))
            status = next(known, HTTPStatus.CONFLICT)
            answer = _error(error.message, error.code, "see what it says, then ask again")
        return Reply(status=status, content_type="application/json", text=json.dumps(answer) + "\n")

    async def _answer(self, request: Request) -> Answer:
        found = [(route, ids) for route in ROUTES if (ids := route.match(request.path)) is not None]
        if not found:
            raise AdminError(
                f"there is no {request.path[:200]}",
                next="see /admin/v1/openapi.json",
                status=HTTPStatus.NOT_FOUND,
            )
        for route, ids in found:
            if route.method == request.method:
                return await route.answer(self._broker, Asked(ids=ids, values=_values(route, request)))
        allowed = ", ".join(sorted(route.method for route, _ in found))
        raise AdminError(
            f"{request.method[:16]} is not for {request.path[:200]}",
            next=f"use {allowed}",
            status=HTTPStatus.METHOD_NOT_ALLOWED,
        )


def _values(route: Route, request: Request) -> dict[str, Any]:
    values = checked(route.query, from_query(route.query, request.query), "query")
    if route.method == "GET":
        return values
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise AdminError(f"the body is no JSON: {error}", next="send a JSON object") from error
    if not isinstance(body, dict):
        raise AdminError("the body is no JSON object", next="send a JSON object")
    return {**values, **checked(route.body, body, "body")}


def _error(what: str, number: int, next_step: str) -> dict[str, Any]:
    return {"error": {"what": what, "number": int(number), "next": next_step}}
