"""An HTTP proxy in front of a real S3 API that does what object stores do on bad days, and watches what comes of it.

    brokers -> proxy -> moto

`Weather` says what share of requests meets which fault; the harness changes it over a control socket (a JSON line
each way). A fault counts as injected when the answer was changed, and as observed when a client then asked for the
same key again: a fault that nobody noticed proves nothing.

    refused      503 SlowDown, nothing happened
    ambiguous    a PUT that took effect (the origin said 200) and was never answered
    conflicted   409 or 412 on a conditional PUT that never reached the origin
    truncated    a GET with a part of its bytes: announced and cut off, or with a length that hides it
    stale        a LIST without the keys of the last seconds
    swallowed    no answer at all while the store is a black hole
    delayed      answered late

Writes to one key reach the origin one after the other, since moto checks conditions and writes in two steps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

REPLY_S = 20.0
"""For the origin; longer than that and the client's own time is over."""
KEPT_RECENT = 5_000
_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Shares of requests, 0 to 1, but where said."""

    refused: float = 0.0
    ambiguous: float = 0.0
    conflicted: float = 0.0
    truncated: float = 0.0
    stale_s: float = 0.0
    """LISTs leave out what was put in this many seconds before."""
    delayed: float = 0.0
    delay_s: float = 0.5
    """At most."""
    black_hole: bool = False


@dataclass(kw_only=True)
class Seen:
    injected: Counter[str] = field(default_factory=Counter)
    observed: Counter[str] = field(default_factory=Counter)
    requests: int = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    head: bytes
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @property
    def is_list(self) -> bool:
        return self.method == "GET" and "list-type=" in self.target

    @property
    def is_conditional(self) -> bool:
        return self.method == "PUT" and "if-none-match" in self.headers


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Cut(Exception):
    """The client gets no (whole) answer: its connection ends here."""


class Proxy:
    """One per store; the faults of a request depend on the seed and on how many came before it."""

    def __init__(self, origin_port: int, seed: int) -> None:
        self.weather = Weather()
        self.seen = Seen()
        self._origin_port = origin_port
        self._rng = random.Random(seed)
        self._writing = [asyncio.Lock() for _ in range(64)]
        self._changed = asyncio.Event()
        """Set when the weather changes, and then another one takes its place."""
        self._recent: dict[str, float] = {}
        self._awaited: dict[str, Counter[str]] = {}
        """Path to the faults whose effect on a client is still to be seen."""

    async def serve(self) -> tuple[asyncio.Server, asyncio.Server]:
        """The proxy itself and its control socket."""
        front = await asyncio.start_server(self._client, "127.0.0.1", 0, backlog=512)
        control = await asyncio.start_server(self._control, "127.0.0.1", 0)
        return front, control

    # -- control -----------------------------------------------------------------------------------------------------

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            asked = json.loads(line)
            if "weather" in asked:
                self.weather = Weather(**asked["weather"])
                self._changed.set()
                self._changed = asyncio.Event()
            writer.write(json.dumps(vars(self.seen)).encode() + b"\n")
            await writer.drain()
        writer.close()

    # -- one client's connection -------------------------------------------------------------------------------------

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                self.seen.requests += 1
                self._notice(request)
                await self._answer(request, writer)
        except (Cut, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass
        finally:
            writer.close()

    def _notice(self, request: Request) -> None:
        """A client that comes back to a key has met the fault there."""
        for kind, count in self._awaited.pop(request.path, Counter()).items():
            self.seen.observed[kind] += count

    def _inject(self, kind: str, request: Request) -> None:
        self.seen.injected[kind] += 1
        self._awaited.setdefault(request.path, Counter())[kind] += 1

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        weather, lot = self.weather, self._rng.random
        if weather.black_hole:
            await self._swallow(request)
        if lot() < weather.delayed:
            self.seen.injected["delayed"] += 1
            self.seen.observed["delayed"] += 1
            await asyncio.sleep(self._rng.uniform(0, weather.delay_s))
        if lot() < weather.refused:
            self._inject("refused", request)
            reply = Reply(status=503, headers={"content-type": "application/xml"}, body=_SLOW_DOWN)
        elif request.is_conditional and lot() < weather.conflicted:
            self._inject("conflicted", request)
            reply = Reply(status=self._rng.choice((409, 412)), headers={}, body=b"")
        else:
            reply = await self._forward(request)
        if request.method == "PUT" and reply.status == 200 and lot() < weather.ambiguous:
            self._inject("ambiguous", request)
            await asyncio.sleep(self._rng.uniform(0, 1.0))
            raise Cut
        if request.is_list and weather.stale_s:
            reply = self._aged(request, reply, weather.stale_s)
        truncated = request.method == "GET" and not request.is_list and reply.status in (200, 206)
        if truncated and len(reply.body) > 1 and lot() < weather.truncated:
            await self._truncate(request, reply, writer)
        else:
            await write_reply(writer, request, reply)

    async def _swallow(self, request: Request) -> None:
        self._inject("swallowed", request)
        await self._changed.wait()
        raise Cut

    async def _truncate(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> None:
        self._inject("truncated", request)
        part = reply.body[: self._rng.randrange(1, len(reply.body))]
        if self._rng.random() < 0.5:
            await write_reply(writer, request, Reply(status=reply.status, headers=reply.headers, body=part))
            return
        await write_reply(writer, request, reply, sent=part)
        raise Cut

    def _aged(self, request: Request, reply: Reply, age_s: float) -> Reply:
        """A LIST as it was some seconds ago, as far as new keys go."""
        bucket, since = request.path.strip("/").partition("/")[0], time.monotonic() - age_s
        left_out = 0

        def keep(match: re.Match[bytes]) -> bytes:
            nonlocal left_out
            key = _KEY.search(match[0])
            if key is None or self._recent.get(f"/{bucket}/{key[1].decode()}", 0.0) < since:
                return match[0]
            left_out += 1
            return b""

        body = _CONTENTS.sub(keep, reply.body)
        if left_out:
            self.seen.injected["stale"] += 1
            self.seen.observed["stale"] += 1
        return Reply(status=reply.status, headers=reply.headers, body=body)

    # -- the origin --------------------------------------------------------------------------------------------------

    async def _forward(self, request: Request) -> Reply:
        if request.method not in ("PUT", "POST", "DELETE"):
            return await fetch(self._origin_port, request)
        async with self._writing[hash(request.path) % len(self._writing)]:
            reply = await fetch(self._origin_port, request)
        if request.method == "PUT" and reply.status == 200:
            self._recent[request.path] = time.monotonic()
            if len(self._recent) > KEPT_RECENT:
                del self._recent[next(iter(self._recent))]
        return reply


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the connection's end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *rest = head[:-4].split(b"\r\n")
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers = _headers(rest)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, target=target, headers=headers, head=head, body=body)


def _headers(lines: list[bytes]) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def fetch(port: int, request: Request) -> Reply:
    """One request to the origin on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    try:
        kept = {name: value for name, value in request.headers.items() if name not in ("connection", "expect")}
        lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{n}: {v}" for n, v in kept.items())]
        writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1") + request.body)
        async with asyncio.timeout(REPLY_S):
            answer = await reader.read(-1)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    headers = _headers(rest)
    if request.method != "HEAD" and "content-length" in headers and int(headers["content-length"]) != len(body):
        raise Cut
    return Reply(status=int(first.split(b" ", 2)[1]), headers=headers, body=body)


async def write_reply(writer: asyncio.StreamWriter, request: Request, reply: Reply, sent: bytes | None = None) -> None:
    """The answer; `sent` stands for the body that goes out under the whole body's length."""
    headers = {n: v for n, v in reply.headers.items() if n not in ("connection", "transfer-encoding", "keep-alive")}
    if request.method != "HEAD":
        headers["content-length"] = str(len(reply.body))
    lines = [f"HTTP/1.1 {reply.status} -", *(f"{name}: {value}" for name, value in headers.items())]
    body = b"" if request.method == "HEAD" else reply.body if sent is None else sent
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    await writer.drain()


async def _run(origin_port: int, seed: int) -> None:
    front, control = await Proxy(origin_port, seed).serve()
    ports = {"port": front.sockets[0].getsockname()[1], "control": control.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    async with front, control:
        await front.serve_forever()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--origin-port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    asyncio.run(_run(given.origin_port, given.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
