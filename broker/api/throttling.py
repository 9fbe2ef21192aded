"""Counts a request against its client's quotas, and tells the client in the answer how long it has to wait.

Kafka does the same: the answer comes at once, says `throttle_time_ms`, and the socket is not read until that is over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from broker.api.context import Context
from broker.api.registry import Api
from broker.quotas.busy import Busy
from broker.quotas.quotas import FETCH, MUTATION, PRODUCE, REQUEST
from broker.wire.encoder import Fields
from broker.wire.fetch import FetchAnswer
from broker.wire.produce import ProduceAnswer

_PRODUCE, _FETCH, _SHARE_FETCH = 0, 1, 78
_MUTATING = frozenset((19, 20, 37))
_NEVER = frozenset((17, 18, 36))
"""What comes before a client is known is nobody's use."""


async def handle(context: Context, api: Api, request: Any, version: int, size_bytes: int) -> tuple[Any, float]:
    """The handler's answer, with how long to wait in it; and that, in seconds."""
    work = api.handle(context, request, version)
    if api.key in _NEVER:
        return await work, 0.0
    seconds = 0.0
    if context.quotas.limits(REQUEST):
        busy: Busy[Any] = Busy(work, context.clock)  # type: ignore[arg-type]
        answer = await busy
        seconds = busy.seconds
    else:
        answer = await work
    pauses = _pauses(context, api.key, answer, size_bytes, seconds)
    for kind, pause in pauses.items():
        if pause:
            context.meter.throttled(context.connection, kind, pause)
    longest = max(pauses.values())
    return (_told(answer, longest) if longest else answer), longest


def _pauses(context: Context, key: int, answer: Any, size_bytes: int, busy_s: float) -> dict[str, float]:
    """By kind of quota, how long the client has to wait."""
    quotas, client = context.quotas, context.connection
    pauses = {REQUEST: quotas.use(REQUEST, client, busy_s)}
    if key == _PRODUCE:
        pauses[PRODUCE] = quotas.use(PRODUCE, client, size_bytes)
    elif key == _FETCH and isinstance(answer, FetchAnswer):
        pauses[FETCH] = quotas.use(FETCH, client, _record_bytes(answer))
    elif key == _SHARE_FETCH:
        pauses[FETCH] = quotas.use(FETCH, client, _shared_bytes(answer))
    elif key in _MUTATING:
        pauses[MUTATION] = quotas.use(MUTATION, client, 0)
    return pauses


def _record_bytes(answer: FetchAnswer) -> int:
    return sum(len(piece) for _, parts in answer.topics for part in parts for piece in part.records or ())


def _shared_bytes(answer: Fields) -> int:
    parts = (part for topic in answer.get("responses", ()) for part in topic["partitions"])
    return sum(len(part["records"]) for part in parts)


def _told(answer: Any, seconds: float) -> Any:
    throttle_ms = max(int(seconds * 1000), 1)
    if isinstance(answer, ProduceAnswer):
        return answer._replace(throttle_ms=max(answer.throttle_ms, throttle_ms))
    if isinstance(answer, FetchAnswer):
        return dataclasses.replace(answer, throttle_ms=max(answer.throttle_ms, throttle_ms))
    return {**answer, "throttle_time": throttle_ms} if isinstance(answer, Mapping) else answer
