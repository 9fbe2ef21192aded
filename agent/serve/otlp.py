"""OTLP over HTTP: `POST /v1/metrics`, as exporters and collectors send it. The samples join those that are scraped.

A request that can be read is answered 200, with `partial_success` where some of it was refused; one that cannot is
answered with a `Status`. Both have the request's content type, protobuf or JSON.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from agent.collect.errors import BadPush
from agent.collect.otlp import JSON, PROTOBUF, PushLimits, parse, read, unpack
from agent.collect.pushed import Pushed
from agent.loop.fleet import Fleet
from agent.loop.refused import Refused
from agent.serve.schemas import Named

PATH = "/v1/metrics"
MOST_BYTES = PushLimits().body_bytes
AT_ONCE = 2
"""Pushes that are read at one time."""
MOST_WAITING = 32
BODY_S = 10.0
"""Within which a body must have come."""
AGAIN_S = 5
_CODES = {400: 3, 413: 3, 415: 3, 408: 4, 503: 14}
"""HTTP status to gRPC's."""


def router(fleet: Fleet) -> APIRouter:
    """The route."""
    turns = asyncio.Semaphore(AT_ONCE)
    waiting = [0]
    routes = APIRouter(tags=["otlp"])

    @routes.post(PATH, summary="OTLP metrics, protobuf or JSON, gzip or not")
    async def metrics(request: Request, cluster: Named = "") -> Response:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        try:
            if kind not in (PROTOBUF, JSON):
                raise BadPush(f"a body of type {kind[:60]!r}: send {PROTOBUF} or {JSON}", number=415)
            pushed = _whose(fleet, cluster)
            if waiting[0] >= MOST_WAITING:
                raise BadPush(f"{MOST_WAITING} pushes wait already: send again later", number=503)
            waiting[0] += 1
            try:
                async with turns:
                    body = await asyncio.wait_for(_body(request), BODY_S)
                    encoding = request.headers.get("content-encoding", "").strip().lower()
                    answer = await run_in_threadpool(_take, pushed, body, encoding, kind)
            finally:
                waiting[0] -= 1
        except TimeoutError:
            return refusal(408, f"the body did not come within {BODY_S:g} s", kind)
        except BadPush as problem:
            return refusal(problem.number, str(problem), kind)
        return _said(answer, kind, 200)

    return routes


def _whose(fleet: Fleet, cluster: str) -> Pushed:
    try:
        return fleet.one(cluster).rooms.collector.pushed
    except Refused as refused:
        raise BadPush(f"{refused.what}: push to {PATH}?cluster=NAME; {refused.next_step}", number=400) from refused


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise BadPush(f"a body of over {MOST_BYTES} bytes: send less at a time", number=413)
    return bytes(body)


def _take(pushed: Pushed, body: bytes, encoding: str, kind: str) -> ExportMetricsServiceResponse:
    limits = pushed.limits
    refusals = pushed.take(read(parse(unpack(body, encoding, limits), kind), limits))
    answer = ExportMetricsServiceResponse()
    if refusals.count:
        answer.partial_success.rejected_data_points = refusals.count
        answer.partial_success.error_message = refusals.text()
    return answer


def refusal(number: int, what: str, kind: str) -> Response:
    """A `Status` in words, in the sender's own content type."""
    answer = _said(Status(code=_CODES.get(number, 2), message=what), kind, number)
    if number == 503:
        answer.headers["retry-after"] = str(AGAIN_S)
    return answer


def _said(message: Message, kind: str, number: int) -> Response:
    if kind == JSON:
        return Response(json_format.MessageToJson(message, indent=None), media_type=JSON, status_code=number)
    return Response(message.SerializeToString(), media_type=PROTOBUF, status_code=number)
