"""Prometheus's HTTP API under /api/v1, over the agent's own samples: Grafana points here and needs no Prometheus.

Parameters come from the query string or a form, as Prometheus takes them; answers and refusals have its shape:
`{"status": "success", "data": ...}`, `{"status": "error", "errorType": ..., "error": ...}`.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import promql_parser
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from agent.loop.agent import VERSION
from agent.loop.fleet import Fleet
from agent.promql import catalogue
from agent.promql.engine import Engine
from agent.promql.errors import BadQuery, QueryError, TooSlow
from agent.promql.stored import StoredSource
from agent.store.errors import StoreError

PREFIX = "/api/v1"
FORMS = frozenset(f"{PREFIX}/{name}" for name in ("query", "query_range", "series", "labels"))
"""POSTs that only ask."""
AT_ONCE = 2
"""Queries evaluated at one time: each may hold its limit of samples in memory."""
_MOST_S = 1e11


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The parameters of one call."""

    pairs: tuple[tuple[str, str], ...]

    def text(self, name: str, default: str | None = None) -> str:
        for key, value in self.pairs:
            if key == name and value:
                return value
        if default is None:
            raise BadQuery(f'invalid parameter "{name}": it is missing')
        return default

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def milliseconds(self, name: str, default: int | None = None) -> int:
        """A time: seconds since 1970, or RFC 3339."""
        text = self.text(name, None if default is None else "")
        if not text and default is not None:
            return default
        try:
            seconds = float(text)
        except ValueError:
            seconds = _rfc3339(name, text)
        if not math.isfinite(seconds) or abs(seconds) > _MOST_S:
            raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')
        return round(seconds * 1000)

    def span_ms(self) -> tuple[int, int] | None:
        """`start` and `end` where either is given; the other is then the end of time."""
        if not self.text("start", "") and not self.text("end", ""):
            return None
        start, end = self.milliseconds("start", 0), self.milliseconds("end", round(_MOST_S * 1000))
        if end < start:
            raise BadQuery('invalid parameter "end": end timestamp must not be before start time')
        return start, end

    def length_ms(self, name: str, default: str | None = None) -> int:
        """A duration: seconds, or as in `5m`."""
        text = self.text(name, default)
        try:
            return round(float(text) * 1000)
        except (ValueError, OverflowError):
            pass
        try:
            return int(promql_parser.parse_duration(text).total_seconds() * 1000)
        except ValueError as error:
            raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid duration') from error

    def limit(self) -> int | None:
        text = self.text("limit", "")
        if text and not text.isdigit():
            raise BadQuery(f'invalid parameter "limit": "{text}" is no number')
        return int(text) or None if text else None


@dataclass(frozen=True, kw_only=True)
class Warned:
    """An answer with something to say about it."""

    data: Any
    warnings: list[str]


def router(fleet: Fleet) -> APIRouter:
    """The routes."""
    house = fleet.house
    engine = Engine(source=StoredSource(house.store), clock=house.clock, settings=house.config.promql)
    turns = threading.BoundedSemaphore(AT_ONCE)
    routes = APIRouter(prefix=PREFIX, tags=["prometheus"])
    _queries(routes, engine, turns)
    _names(routes, engine)
    return routes


def _queries(routes: APIRouter, engine: Engine, turns: threading.BoundedSemaphore) -> None:
    def timeout_s(asked: Asked) -> float:
        return asked.length_ms("timeout", f"{engine.settings.timeout_s:g}") / 1000

    def in_turn(work: Callable[[], Any], wait_s: float) -> Any:
        if not turns.acquire(timeout=max(0.0, min(wait_s, engine.settings.timeout_s))):
            raise TooSlow(f"query timed out in query queue: {AT_ONCE} others are being evaluated")
        try:
            return work()
        finally:
            turns.release()

    def query(asked: Asked) -> Any:
        at_ms = asked.milliseconds("time", round(engine.clock.now().timestamp() * 1000))
        limit_s = timeout_s(asked)
        return in_turn(lambda: engine.instant(asked.text("query"), at_ms, timeout_s=limit_s), limit_s)

    def query_range(asked: Asked) -> Any:
        start, end = asked.milliseconds("start"), asked.milliseconds("end")
        step, limit_s = asked.length_ms("step"), timeout_s(asked)

        def text() -> bytes:
            series, warnings = engine.range_series(asked.text("query"), start, end, step, timeout_s=limit_s)
            result = b",".join(_json(each) for each in series)
            said = b',"warnings":' + _json(warnings) if warnings else b""
            return b'{"status":"success","data":{"resultType":"matrix","result":[%b]}%b}' % (result, said)

        return in_turn(text, limit_s)

    _both(routes, "/query", "PromQL at one time", query)
    _both(routes, "/query_range", "PromQL over a range of times", query_range)


def _names(routes: APIRouter, engine: Engine) -> None:
    source, settings = engine.source, engine.settings

    def named(asked: Asked, found: list[Any]) -> Warned:
        span = asked.span_ms()
        return Warned(data=found[: asked.limit()], warnings=source.lost(*span) if span else [])

    def series(asked: Asked) -> Any:
        return named(asked, catalogue.series(source, asked.every("match[]"), settings, asked.span_ms()))

    def labels(asked: Asked) -> Any:
        return named(asked, catalogue.label_names(source, asked.every("match[]"), settings, asked.span_ms()))

    _both(routes, "/series", "The series that match", series)
    _both(routes, "/labels", "The names of labels", labels)

    @routes.get("/label/{name}/values", summary="The values of one label")
    async def values(name: str, request: Request) -> Response:
        def found(asked: Asked) -> Any:
            selectors = asked.every("match[]")
            return named(asked, catalogue.label_values(source, name, selectors, settings, asked.span_ms()))

        return await _answer(request, found)

    @routes.get("/metadata", summary="What is known of each metric")
    async def metadata(request: Request) -> Response:
        def found(asked: Asked) -> Any:
            limit = asked.limit()
            return catalogue.metadata(source, asked.text("metric", ""), -1 if limit is None else limit, settings)

        return await _answer(request, found)

    @routes.get("/status/buildinfo", summary="Which Prometheus this speaks like")
    async def buildinfo(request: Request) -> Response:
        version = "3.0.0" if settings.range_edge == "open" else "2.42.0"
        about = {"branch": "", "buildUser": "", "buildDate": "", "goVersion": ""}
        return await _answer(request, lambda asked: {"version": version, "revision": f"streampilot {VERSION}", **about})

    @routes.api_route("/{rest:path}", methods=["GET", "POST"], include_in_schema=False)
    async def other(rest: str) -> Response:
        return _refusal(404, "not_found", f"{PREFIX}/{rest} is not served by this agent: see docs/promql.md")


def _both(routes: APIRouter, path: str, summary: str, work: Callable[[Asked], Any]) -> None:
    async def handle(request: Request) -> Response:
        return await _answer(request, work)

    routes.get(path, summary=summary, name=path)(handle)
    routes.post(path, summary=f"{summary}; parameters as a form", name=f"{path} form")(handle)


async def _answer(request: Request, work: Callable[[Asked], Any]) -> Response:
    try:
        asked = Asked(pairs=tuple(request.query_params.multi_items()) + await _form(request))
        data = await run_in_threadpool(work, asked)
    except QueryError as error:
        return _refusal(error.status, error.kind, str(error))
    except StoreError as error:
        return _refusal(503, "internal", str(error))
    if isinstance(data, bytes):
        return Response(data, media_type="application/json")
    if isinstance(data, Warned):
        data, warnings = data.data, data.warnings
    else:
        warnings = data.pop("warnings", []) if isinstance(data, dict) and "resultType" in data else []
    return JSONResponse({"status": "success", "data": data} | ({"warnings": warnings} if warnings else {}))


async def _form(request: Request) -> tuple[tuple[str, str], ...]:
    if request.method != "POST":
        return ()
    kind = request.headers.get("content-type", "application/x-www-form-urlencoded").split(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise BadQuery(f"a body of type {kind}: send a form (application/x-www-form-urlencoded)")
    try:
        return tuple(parse_qsl((await request.body()).decode("utf-8"), keep_blank_values=True, max_num_fields=1000))
    except ValueError as error:
        raise BadQuery(f"the form cannot be read: {error}") from error


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _rfc3339(name: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from error
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()


def _refusal(status: int, kind: str, what: str) -> JSONResponse:
    return JSONResponse({"status": "error", "errorType": kind, "error": what}, status_code=status)
