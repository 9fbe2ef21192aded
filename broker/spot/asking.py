"""One HTTP request to a metadata service: a bounded time, a bounded answer, no proxy and no redirect.

Written on h11 and asyncio because a client library takes longer to import than the event loop may stand still (law 14).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import h11

from broker.spot.notice import NoAnswer

ANSWER_S = 2.0
MOST_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    text: str


async def ask(
    method: str, url: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = ANSWER_S
) -> Answer:
    """The answer, whatever its status; NoAnswer when there is none in time, or it is no HTTP."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(method, url, headers or {})
    except TimeoutError:
        raise NoAnswer(f"no answer within {timeout_s:g} s") from None
    except (OSError, h11.ProtocolError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


async def _exchange(method: str, url: str, headers: Mapping[str, str]) -> Answer:
    to = urlsplit(url)
    secure = to.scheme == "https"
    tls = await asyncio.to_thread(ssl.create_default_context) if secure else None
    reader, writer = await asyncio.open_connection(to.hostname, to.port or (443 if secure else 80), ssl=tls)
    try:
        spoken = h11.Connection(h11.CLIENT)
        target = (to.path or "/") + (f"?{to.query}" if to.query else "")
        told = {"Host": to.netloc.rpartition("@")[2], "Connection": "close", "Content-Length": "0", **headers}
        writer.write(spoken.send(h11.Request(method=method, target=target, headers=list(told.items()))) or b"")
        writer.write(spoken.send(h11.EndOfMessage()) or b"")
        return await _read(spoken, reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(spoken: h11.Connection, reader: asyncio.StreamReader) -> Answer:
    status, headers, body = 0, {}, bytearray()
    while True:
        event = spoken.next_event()
        if event is h11.NEED_DATA:
            spoken.receive_data(await reader.read(MOST_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_BYTES:
                raise NoAnswer(f"an answer of more than {MOST_BYTES // 1024} KiB")
        elif isinstance(event, h11.EndOfMessage):
            return Answer(status=status, headers=headers, text=body.decode("utf-8", errors="replace"))
        elif isinstance(event, h11.ConnectionClosed):
            raise NoAnswer("the connection ended before an answer")
