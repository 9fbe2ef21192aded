"""Asking other brokers. One connection to each, made when it is needed; a failure or a timeout closes it and costs
latency only, since everybody also polls the metadata (law 9).
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import ssl
from collections.abc import Callable, Collection

from broker.errors import KafkaError, MalformedFrame
from broker.ids import Entropy
from broker.metadata.image import Broker
from broker.peers import frames
from broker.wire.cursor import I32, Cursor


class PeerUnavailable(KafkaError):
    """The other broker did not answer, did not prove itself, or refused."""


class Peers:
    """The other brokers, as this one reaches them."""

    def __init__(
        self,
        secret: bytes,
        broker_id: int,
        new: Entropy,
        *,
        most_bytes: int = frames.MAX_FRAME_BYTES,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`most_bytes` of one answer; `tls` gives the context of the next connection, None: in the clear."""
        self._most = most_bytes
        self._tls = tls
        self._secret, self._id, self._new = secret, broker_id, new
        self._lines: dict[tuple[str, int], _Line] = {}

    async def look(self, broker: Broker, version: int, uids: Collection[int], timeout_s: float) -> set[int]:
        """Tells a broker that the metadata reached `version`; which of `uids` it has open. PeerUnavailable."""
        body = await self.ask(broker, frames.LOOK, 0, frames.look(version, uids), timeout_s)
        return set(frames.read_look(body)[1])

    async def is_absent(self, broker: Broker, timeout_s: float) -> bool:
        """Whether its host says that nobody listens there. Where nothing answers it may be the network: False."""
        if broker.peer_address is None:
            return False
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(*broker.peer_address)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
        writer.close()
        return False

    async def ask(self, broker: Broker, key: int, version: int, body: bytes, timeout_s: float) -> Cursor:
        """One request and its answer. PeerUnavailable when that takes longer, connecting included. (RuntimeError is
        uvloop's word for a connection that is closed already.)
        """
        if broker.peer_address is None:
            raise PeerUnavailable(f"broker {broker.id} has no inter-broker listener")
        line = self._lines.setdefault(broker.peer_address, _Line(broker.peer_address, self._most, self._tls))
        try:
            async with asyncio.timeout(timeout_s), line.turn:
                try:
                    return await self._exchange(line, key, version, body)
                except BaseException:
                    line.hang_up()
                    raise
        except (OSError, TimeoutError, asyncio.IncompleteReadError, MalformedFrame, RuntimeError) as error:
            raise PeerUnavailable(f"broker {broker.id} did not answer: {error!r}") from error

    async def _exchange(self, line: _Line, key: int, version: int, body: bytes) -> Cursor:
        if not line.is_open:
            await line.connect()
            await self._prove(line)
        return await line.exchange(key, version, body)

    async def _prove(self, line: _Line) -> None:
        ours = self._new(frames.NONCE_BYTES)
        cursor = await line.exchange(frames.HELLO, 0, I32.pack(self._id) + ours)
        theirs, given = bytes(cursor.take(frames.NONCE_BYTES)), bytes(cursor.take(frames.PROOF_BYTES))
        if not hmac.compare_digest(given, frames.proof(self._secret, b"answerer", ours, theirs)):
            raise MalformedFrame("what listens there does not know the cluster's secret")
        await line.exchange(frames.PROVE, 0, frames.proof(self._secret, b"asker", ours, theirs))

    async def close(self) -> None:
        for line in self._lines.values():
            line.hang_up()
        self._lines.clear()


class _Line:
    """A connection to one address; requests take turns."""

    def __init__(
        self, address: tuple[str, int], most_bytes: int, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        self._most = most_bytes
        self._tls = tls
        self.turn = asyncio.Lock()
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._numbers = itertools.count()

    @property
    def is_open(self) -> bool:
        return self._streams is not None and not (self._streams[0].at_eof() or self._streams[1].is_closing())

    async def connect(self) -> None:
        self.hang_up()
        tls = self._tls() if self._tls is not None else None
        self._streams = await asyncio.open_connection(*self._address, ssl=tls)

    async def exchange(self, key: int, version: int, body: bytes) -> Cursor:
        assert self._streams is not None
        reader, writer = self._streams
        number = next(self._numbers) & 0x7FFFFFFF
        writer.write(frames.request(key, version, number, body))
        cursor = Cursor(await frames.read_frame(reader, self._most))
        answered, error = cursor.int32(), cursor.int16()
        if answered != number or error:
            raise MalformedFrame(f"answer {answered} with error {error} to request {number} of key {key}")
        return cursor

    def hang_up(self) -> None:
        if self._streams is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: so is the socket
                self._streams[1].close()
            self._streams = None
