"""The agent's HTTP API. Reads are plain GETs; whatever changes something is a POST and needs the token.

Handlers are plain functions that FastAPI runs in threads: the rooms below block. Errors are always
`{"error": {"what", "number", "next"}}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent.loop.fleet import Fleet
from agent.loop.refused import Refused
from agent.serve import events, otlp, prometheus, queries, reads, writes
from agent.serve.access import Door
from agent.serve.metrics import AgentMetrics
from agent.store.errors import StateError, StoreError

MOST_BODY_BYTES = 64 * 1024
_UNGUARDED = frozenset({"/healthz", "/readyz"})
_QUESTIONS = frozenset({"/api/ask", "/api/sql"}) | prometheus.FORMS
"""POSTs that change nothing."""
_PUSHES = frozenset({otlp.PATH, "/api/events"})
"""POSTs that the push token may make too."""


def make_app(fleet: Fleet, door: Door) -> FastAPI:
    """The application; `agent` is what it serves, `door` who may come in."""
    app = FastAPI(title="streampilot agent", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    metrics = AgentMetrics(fleet)
    app.include_router(queries.router(fleet))
    app.include_router(reads.router(fleet))
    app.include_router(writes.router(fleet))
    app.include_router(events.router(fleet))
    app.include_router(prometheus.router(fleet))
    app.include_router(otlp.router(fleet))

    @app.get("/metrics", include_in_schema=False)
    def read_metrics() -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    _guard(app, door)
    _say_errors(app)
    return app


def _guard(app: FastAPI, door: Door) -> None:
    @app.middleware("http")
    async def check(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path in _UNGUARDED:
            return await call_next(request)
        try:
            if request.method not in {"GET", "HEAD"}:
                _check_body(request)
            request.state.token = door.check(
                write=request.method not in {"GET", "HEAD"} and request.url.path not in _QUESTIONS,
                push=request.method == "POST" and request.url.path in _PUSHES,
                host=request.headers.get("host", ""),
                origin=request.headers.get("origin", ""),
                authorization=request.headers.get("authorization", ""),
            )
        except Refused as refused:
            return error(refused.number, refused.what, refused.next_step)
        return await call_next(request)


def _check_body(request: Request) -> None:
    """Refused where the body is over its limit, or of a length that nobody says (but where it is counted as read)."""
    pushed = request.url.path == otlp.PATH
    most = otlp.MOST_BYTES if pushed else MOST_BODY_BYTES
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most:
        raise Refused(f"a body of {length} bytes", f"send at most {most}", number=413)
    if "transfer-encoding" in request.headers and not pushed:
        raise Refused("a body of unknown length", "send Content-Length", number=411)


def _say_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, problem: Refused) -> Response:
        return error(problem.number, problem.what, problem.next_step)

    @app.exception_handler(StateError)
    @app.exception_handler(StoreError)
    async def storage(request: Request, problem: Exception) -> Response:
        return error(503, str(problem), "see the agent's own lines")

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, problem: RequestValidationError) -> Response:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return error(422, f"{where}: {first['msg']}", "see /openapi.json")

    @app.exception_handler(HTTPException)
    async def http(request: Request, problem: HTTPException) -> Response:
        return error(problem.status_code, f"{request.url.path}: {problem.detail}", "see /openapi.json")


def error(number: int, what: str, next_step: str) -> JSONResponse:
    """The one shape of every refusal."""
    return JSONResponse({"error": {"what": what, "number": number, "next": next_step}}, status_code=number)
