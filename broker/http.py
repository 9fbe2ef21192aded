"""The broker's small HTTP side: `GET /metrics`, `/healthz`, `/readyz`, and what is mounted below a path, such as
`/admin/`. For scrapers, orchestrators and operators, not for clients.

1. Every read has a deadline and a limit; a peer that is slow, silent or endless costs one of 64 places for 5 s at most.
2. One request per connection; a body needs a Content-Length of at most 64 KiB.
3. What is mounted decides itself who may ask; nothing else here changes anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

_MAX_HEAD_BYTES = 16 * 1024
_MAX_BODY_BYTES = 64 * 1024
_DEADLINE_S = 5.0
_MOUNT_DEADLINE_S = 150.0
"""For the answer of what is mounted: it may wait for something to be done."""
_MAX_CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer in text."""

    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"
    text: str


Route = Callable[[], Reply | Awaitable[Reply]]
"""A page that is long to write takes turns, and so is awaited."""
Mount = Callable[[Request], Awaitable[Reply]]


class _Refused(Exception):
    """What was sent is answered with a bare status."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class HttpServer:
    """Serves `routes` by path, and `mounts` by the beginning of a path."""

    def __init__(self, routes: Mapping[str, Route], mounts: Mapping[str, Mount] | None = None) -> None:
        self._routes, self._mounts = routes, mounts or {}
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
                head_only, reply = await self._answer(reader)
                async with asyncio.timeout(_DEADLINE_S):
                    writer.write(_bytes(reply, head_only=head_only))
                    await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[bool, Reply]:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                request = await self._read(reader)
            if (route := self._routes.get(request.path)) is not None:
                if request.method not in ("GET", "HEAD"):
                    raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED)
                reply = route()
                return request.method == "HEAD", reply if isinstance(reply, Reply) else await reply
            for prefix, mount in self._mounts.items():
                if request.path.startswith(prefix):
                    async with asyncio.timeout(_MOUNT_DEADLINE_S):
                        return False, await mount(request)
            raise _Refused(HTTPStatus.NOT_FOUND)
        except _Refused as refused:
            status = refused.status
            return False, Reply(status=status, text=f"{status.value} {status.phrase}\n")

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        if self._open > _MAX_CONNECTIONS:
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST) from error
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise _Refused(HTTPStatus.BAD_REQUEST)
        path, _, query = words[1].partition("?")
        headers = _headers(lines)
        body = await _body(reader, headers)
        return Request(method=words[0], path=path, query=dict(parse_qsl(query)), headers=headers, body=body)


def _headers(lines: list[str]) -> dict[str, str]:
    """By name in lower case. One that comes twice is refused: two readers could take different ones for true."""
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or (name in found and name in ("host", "content-length", "authorization", "origin")):
            raise _Refused(HTTPStatus.BAD_REQUEST)
        found[name] = value.strip()
    return found


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise _Refused(HTTPStatus.BAD_REQUEST)
    if len(length) > 9 or int(length) > _MAX_BODY_BYTES:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST) from error


def _bytes(reply: Reply, *, head_only: bool) -> bytes:
    body = reply.text.encode()
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n"
        f"Content-Type: {reply.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    return head if head_only else head + body
