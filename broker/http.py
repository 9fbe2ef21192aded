"""The broker's small HTTP side: `GET /metrics`, `/healthz`, `/readyz`. For scrapers and orchestrators, not for clients.

1. Every read has a deadline and a limit; a peer that is slow, silent or endless costs one of 64 places for 5 s at most.
2. One request per connection. Nothing here changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

_MAX_HEAD_BYTES = 16 * 1024
_DEADLINE_S = 5.0
_MAX_CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer in text."""

    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"
    text: str


Route = Callable[[], Reply]


class HttpServer:
    """Serves `routes`, by path."""

    def __init__(self, routes: Mapping[str, Route]) -> None:
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._open = 0

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Opens the port and returns the address it got; OSError when it is taken."""
        self._server = await asyncio.start_server(self._serve, host or None, port, limit=_MAX_HEAD_BYTES, backlog=64)
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    def close(self) -> None:
        """Takes no more requests."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_DEADLINE_S):
                    head_only, reply = await self._answer(reader)
                    writer.write(_bytes(reply, head_only=head_only))
                    await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[bool, Reply]:
        if self._open > _MAX_CONNECTIONS:
            return False, _refusal(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False, _refusal(HTTPStatus.BAD_REQUEST)
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return False, _refusal(HTTPStatus.BAD_REQUEST)
        method, target, _ = words
        route = self._routes.get(target.partition("?")[0])
        if route is None:
            return False, _refusal(HTTPStatus.NOT_FOUND)
        if method not in ("GET", "HEAD"):
            return False, _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        return method == "HEAD", route()


def _refusal(status: HTTPStatus) -> Reply:
    return Reply(status=status, text=f"{status.value} {status.phrase}\n")


def _bytes(reply: Reply, *, head_only: bool) -> bytes:
    body = reply.text.encode()
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n"
        f"Content-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    return head if head_only else head + body
