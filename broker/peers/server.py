"""The inter-broker listener. Who cannot prove within two seconds that it knows the cluster's secret is hung up on; what
an unknown peer can cost is a place and 4 KiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ssl
from collections.abc import Awaitable, Callable, Mapping

from broker.errors import KafkaError, MalformedFrame, UnsupportedVersion, code_of
from broker.ids import Entropy
from broker.peers import frames
from broker.wire.cursor import Cursor
from broker.wire.headers import read_request_header

PROOF_S = 2.0
IDLE_S = 300.0
MAX_CONNECTIONS = 256

Handler = Callable[[Cursor], Awaitable[bytes]]
"""Reads a request's body and gives the answer's. A KafkaError becomes the answer's error code."""


def looking(look: Callable[[int, list[int]], Awaitable[tuple[int, list[int]]]]) -> Handler:
    """LOOK v0, answered by `look`."""

    async def handle(cursor: Cursor) -> bytes:
        return frames.look(*await look(*frames.read_look(cursor)))

    return handle


class PeerServer:
    """Serves `handlers`, by (key, version), to those who know the secret."""

    def __init__(
        self,
        secret: bytes,
        handlers: Mapping[tuple[int, int], Handler],
        new: Entropy,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._secret, self._handlers, self._new = secret, handlers, new
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Opens the port; the address it got. OSError when it is taken."""
        patience_s = PROOF_S if self._tls is not None else None
        self._server = await asyncio.start_server(
            self._connected, host, port, backlog=64, ssl=self._tls, ssl_handshake_timeout=patience_s
        )
        bound: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._open.add(writer)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, MalformedFrame, RuntimeError):
                async with asyncio.timeout(PROOF_S):
                    await self._let_in(reader, writer)
                while True:
                    async with asyncio.timeout(IDLE_S):
                        frame = await frames.read_frame(reader)
                    writer.write(await self._serve(frame))
                    await writer.drain()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HELLO, then PROVE; MalformedFrame for anything else."""
        correlation, cursor = _expect(await frames.read_frame(reader), frames.HELLO)
        cursor.int32()
        theirs, ours = bytes(cursor.take(frames.NONCE_BYTES)), self._new(frames.NONCE_BYTES)
        writer.write(frames.answer(correlation, 0, ours + frames.proof(self._secret, b"answerer", theirs, ours)))
        correlation, cursor = _expect(await frames.read_frame(reader), frames.PROVE)
        given = bytes(cursor.take(frames.PROOF_BYTES))
        if not hmac.compare_digest(given, frames.proof(self._secret, b"asker", theirs, ours)):
            raise MalformedFrame("a peer that does not know the cluster's secret")
        writer.write(frames.answer(correlation, 0, b""))

    async def _serve(self, frame: memoryview) -> bytes:
        header = read_request_header(frame)
        handler = self._handlers.get((header.key, header.version))
        if handler is None:
            return frames.answer(header.correlation_id, UnsupportedVersion.code, b"")
        try:
            body = await handler(Cursor(frame, position=header.size_bytes))
        except KafkaError as error:
            return frames.answer(header.correlation_id, code_of(error), b"")
        return frames.answer(header.correlation_id, 0, body)


def _expect(frame: memoryview, key: int) -> tuple[int, Cursor]:
    header = read_request_header(frame)
    if (header.key, header.version) != (key, 0):
        raise MalformedFrame(f"key {header.key} version {header.version} from a peer that has proved nothing yet")
    return header.correlation_id, Cursor(frame, position=header.size_bytes)
