"""One client's socket: requests in, answers out, for everyone that may be a stranger.

Laws: 1. answers leave in the order of their requests, though requests run at the same time (a Produce waits for the
disk while the next is already being appended). 2. A client that sends faster than it is served is not read any more;
nor is anyone while too many bytes are in flight, nor a producer while too much waits for upload. 3. A bad frame closes
its own connection with one line, and nothing else. 4. What a handler throws is answered and told in one line; the
connection lives on. 5. Where the listener asks who comes, nothing else is served, and no large frame is read, until the
client has said so; nor after its session is over, or what it said was wrong.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from broker.api import k00_produce, k17_sasl_handshake, k18_api_versions, k36_sasl_authenticate, throttling
from broker.api.answers import framed
from broker.api.context import ConnectionInfo, Context, Settings
from broker.api.outcome import first_error, is_refused
from broker.api.registry import Begin, Chunks, HangUp, Spoken, find, spoken
from broker.clock import Clock
from broker.crowd import Crowd
from broker.errors import KafkaError, MalformedFrame, code_of, name_of
from broker.loading import Loading
from broker.security.access import ANONYMOUS
from broker.security.login import Login
from broker.security.tls import Tls
from broker.slot import WRITE_HIGH_BYTES, Line, Slot, no_delay
from broker.wire.frames import FrameReader
from broker.wire.headers import RequestHeader, body_at, read_request_header

log = logging.getLogger(__name__)

_MAX_IN_FLIGHT = 64
"""Requests of one connection at the same time; librdkafka sends as many as it likes."""
_FRAME_SECONDS = 30.0
_SLOWEST_BYTES_PER_S = 16 * 1024
_MAX_CLIENT_ID = 256
_UNKNOWN_SECONDS = 30.0
"""For a client to say who it is."""
_LAST_WORDS_SECONDS = 0.5
"""For a client to read why it was refused: some, kafka-python among them, lose an answer that comes with the end."""
_BY_CERTIFICATE = "SSL"
"""The mechanism of who showed a certificate, as the counters have it."""
_BEFORE_LOGIN = frozenset((k17_sasl_handshake.KEY, k18_api_versions.KEY, k36_sasl_authenticate.KEY))
_FIRST = struct.Struct(">I")
"""What every request begins with, key and version, as one number."""

Connect = Callable[[ConnectionInfo], Context]
"""Gives a new connection its world."""


class Connection(asyncio.BufferedProtocol):
    """One client's socket."""

    def __init__(
        self,
        listener: str,
        tls: Tls | None,
        connect: Connect,
        settings: Settings,
        clock: Clock,
        peers: Crowd[Connection],
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._settings = settings
        self._login: Login | None = None
        self._made = clock.monotonic()
        self._connect = connect
        self._clock = clock
        self._peers = peers
        self._reader = FrameReader(settings.max_frame_bytes, peers.receive)
        self._line = Line(peers)
        self._slots = self._line.slots
        self._waiting: deque[memoryview] = deque()
        """Frames that came in one read with others and are beyond the bound."""
        self._reading = True
        self._paused_until = 0.0
        self._writable = True
        self._later = False
        self._produces = False
        self._patient = 0
        """Requests under way that needed a task: those that need none may not overtake them."""
        self._flushing = False
        self._loading = Loading()
        self._last_seen = clock.monotonic()
        self._frame_since: float | None = None

    @property
    def busy(self) -> bool:
        return bool(self._slots)

    # -- the transport's side ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        peer = transport.get_extra_info("peername")
        info = ConnectionInfo(
            listener=self._listener,
            peer=str(peer[0]) if peer else "unknown",
            principal=ANONYMOUS if self._tls is None else self._tls.principal(transport),
        )
        self._context = self._connect(info)
        self._login = info.login
        if self._login is not None:
            self._reader.limit(self._settings.max_unknown_frame_bytes)
        no_delay(transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._peers.connections.add(self)
        self._context.meter.connection(self._listener, 1)
        if info.principal != ANONYMOUS:
            self._context.meter.authenticated(self._listener, _BY_CERTIFICATE, True)
        pause = self._context.quotas.came(info.peer)
        if pause is None:
            self._context.meter.hung_up(self._listener, "limit")
            self._hang_up(MalformedFrame("there are too many connections, or too many from its address"))
        elif pause:
            self._pause(pause)

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.connections.discard(self)
        self._context.meter.connection(self._listener, -1)
        self._context.quotas.went(self._context.connection.peer)
        if self._context.connection.shares:
            self._context.shares.gone(self._context.connection)
        self._waiting.clear()
        self._line.drop()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._last_seen = self._clock.monotonic()
        try:
            frames = self._reader.received(nbytes)
            self._waiting.extend(frames)
            self._begin_waiting()
        except MalformedFrame as fault:
            self._hang_up(fault)
            return
        if not self._reader.declared_bytes:
            self._frame_since = None
        elif frames or self._frame_since is None:
            self._frame_since = self._last_seen

    def pause_writing(self) -> None:
        self._writable = False
        self.regulate()

    def resume_writing(self) -> None:
        self._writable = True
        self._flush()
        self.go_on()

    # -- bounds --------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Takes up what waited for room."""
        try:
            self._begin_waiting()
        except MalformedFrame as fault:
            self._hang_up(fault)

    def _pause(self, seconds: float) -> None:
        """Reads nothing for so long: the client used more than its quota."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)
        self.regulate()
        asyncio.get_running_loop().call_later(seconds, self._take_turn)

    def _has_room(self) -> bool:
        if self._paused_until and self._clock.monotonic() < self._paused_until:
            return False
        if self._produces and self._peers.held:
            return False
        return self._writable and len(self._slots) < _MAX_IN_FLIGHT and not self._peers.full

    def regulate(self) -> None:
        """Reads the socket exactly while there is room for another request."""
        wanted = self._has_room() and not self._waiting and not self._peers.stopping
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            if self._frame_since is not None:
                self._frame_since = self._clock.monotonic()  # the pause was ours, not the client's
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def stop_reading(self) -> None:
        self._waiting.clear()
        self.regulate()

    def close_if_idle(self, now: float) -> None:
        """Hangs up when a frame is slower than `_SLOWEST_BYTES_PER_S`, nothing was asked for `idle_seconds`, or a
        client does not say who it is.
        """
        if self._login is not None and not self._login.authenticated and now - self._made > _UNKNOWN_SECONDS:
            self._context.meter.hung_up(self._listener, "silent")
            self._hang_up(MalformedFrame(f"it did not say who it is for {_UNKNOWN_SECONDS:.0f} s"))
        elif self._frame_since is not None:
            patience = _FRAME_SECONDS + self._reader.declared_bytes / _SLOWEST_BYTES_PER_S
            if self._reading and now - self._frame_since > patience:
                self._hang_up(
                    MalformedFrame(f"a frame of {self._reader.declared_bytes} bytes took over {patience:.0f} s")
                )
        elif not self._slots and now - self._last_seen > self._settings.idle_seconds:
            self._transport.close()

    def _hang_up(self, fault: MalformedFrame) -> None:
        if not self._transport.is_closing():
            info = self._context.connection
            line = f"hung up on {info.peer} (client id {info.client_id[:64]!r}): {str(fault)[:200]}"
            self._peers.seldom.say(info.peer, str(fault), line)
            self._transport.abort()

    def abort(self) -> None:
        self._transport.abort()

    # -- requests ------------------------------------------------------------------------------------------------

    def _begin_waiting(self) -> None:
        waiting = self._waiting
        while waiting and self._has_room() and not self._transport.is_closing():
            if self._context.turns.over():
                self._go_on_later()
                break
            found = spoken(_FIRST.unpack_from(waiting[0])[0])
            if found is None and not self._loading.is_done(waiting[0], self._take_turn, self._hang_up):
                break
            self._begin(waiting.popleft(), found)
        self.regulate()

    def _go_on_later(self) -> None:
        """In the next pass of the loop: others had their requests too."""
        if not self._later:
            self._later = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._later = False
        if not self._transport.is_closing():
            self.go_on()

    def _begin(self, frame: memoryview, found: Spoken | None) -> None:
        if self._login is not None and self._login.bare:
            self._begin_bare(frame)
            return
        header = read_request_header(frame)
        if header.client_id is not None and header.client_id != self._context.connection.client_id:
            self._context.connection.client_id = header.client_id[:_MAX_CLIENT_ID]
        if found is None:
            self._refuse_version(frame, header)
            return
        api = found.api
        if self._login is not None and not self._login.serves() and api.key not in _BEFORE_LOGIN:
            reason = "expired" if self._login.authenticated else "unknown"
            self._context.meter.hung_up(self._listener, reason)
            raise MalformedFrame(f"{api.name} of a client that did not say who it is, or whose session is over")
        self._produces = self._produces or api.key == k00_produce.KEY
        request = api.decode(found.version, frame, body_at(frame, header, flexible=found.flexible_request_header))
        slot = Slot(len(frame), header.correlation_id, found, request, self._clock.monotonic())
        self._line.take(slot)
        if self._begun(slot, api.begin):
            return
        self._patient += api.begin is not None
        task = asyncio.create_task(self._run(slot))
        slot.task = task if api.drop_when_gone else None

    def _begin_bare(self, frame: memoryview) -> None:
        """A message after SaslHandshake version 0: it has no header, and neither has its answer."""
        api = find(k36_sasl_authenticate.KEY)
        assert api is not None
        lowest = Spoken(api, 0, flexible_request_header=False, flexible_response_header=False)
        slot = Slot(len(frame), 0, lowest, None, self._clock.monotonic())
        self._line.take(slot)
        slot.task = asyncio.create_task(self._say_bare(slot, bytes(frame)))

    async def _say_bare(self, slot: Slot, message: bytes) -> None:
        answer = await k36_sasl_authenticate.answer_bare(self._context, message)
        self._finish(slot, None if answer is None else [struct.pack(">i", len(answer)), answer])

    def _begun(self, slot: Slot, begin: Begin | None) -> bool:
        """Whether the request is on its way without a task of its own."""
        if begin is None or self._patient or self._context.quotas.active:
            return False
        try:
            return begin(self._context, slot.request, partial(self._answer, slot))
        except Exception as fault:
            self._answer(slot, fault)
            return True

    def _refuse_version(self, frame: memoryview, header: RequestHeader) -> None:
        """ApiVersions is answered in version 0 with UNSUPPORTED_VERSION (KIP-511); others should have asked it."""
        api = find(header.key)
        if api is None:
            raise MalformedFrame(f"API key {header.key} is not one of ours")
        if api.key != k18_api_versions.KEY:
            raise MalformedFrame(f"{api.name} version {header.version}; {api.low} to {api.high} are spoken here")
        lowest = Spoken(api, 0, flexible_request_header=False, flexible_response_header=False)
        slot = Slot(len(frame), header.correlation_id, lowest, None, self._clock.monotonic())
        self._line.take(slot)
        body = api.encode(0, k18_api_versions.for_unknown_version())
        self._finish(slot, framed(header.correlation_id, body, flexible=False))

    async def _run(self, slot: Slot) -> None:
        api, version, *_ = slot.spoken
        try:
            if self._context.quotas.active:
                answer, pause = await throttling.handle(self._context, api, slot.request, version, slot.size_bytes)
                if pause:
                    self._pause(pause)
            else:
                answer = await api.handle(self._context, slot.request, version)
        except Exception as fault:
            answer = fault
        self._patient -= api.begin is not None
        self._answer(slot, answer)

    def _answer(self, slot: Slot, answer: Any) -> None:
        """Sends what the handler made of a request, or threw; once."""
        if slot.done:
            return
        api, version, _, flexible = slot.spoken
        chunks: Chunks | None = None
        try:
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                chunks = framed(slot.correlation_id, api.encode(version, answer), flexible=flexible)
        except HangUp:
            self._transport.close()
            answer = None
        except Exception as fault:
            answer, chunks = self._failure(slot, fault)
        error = first_error(answer)
        if self._context.access.guards and is_refused(answer):
            self._context.meter.denied(api.name)
        seconds = self._clock.monotonic() - slot.began
        self._context.meter.request(api.name, version, seconds, name_of(error) if error else None)
        self._finish(slot, chunks)

    def _failure(self, slot: Slot, fault: Exception) -> tuple[Any, Chunks | None]:
        api, version, _, flexible = slot.spoken
        if not isinstance(fault, KafkaError):
            log.error("%s version %d failed: %s: %.200s", api.name, version, type(fault).__name__, fault)
            log.debug("where it failed", exc_info=fault)
        answer = api.failed(slot.request, version, code_of(fault))
        try:
            return answer, framed(slot.correlation_id, api.encode(version, answer), flexible=flexible)
        except Exception as second:
            self._hang_up(MalformedFrame(f"{api.name} version {version} cannot be answered: {second}"))
            return answer, None

    # -- answers -------------------------------------------------------------------------------------------------

    def _finish(self, slot: Slot, chunks: Chunks | None) -> None:
        """Answers that come in one pass of the loop, as after a group commit, leave in one write, since a send costs
        more than most requests; and in the next pass, since those who call this have others to tell.
        """
        slot.chunks, slot.done, slot.task = chunks, True, None
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush_all)

    def _flush_all(self) -> None:
        self._flushing = False
        self._flush()
        self.go_on()

    def _flush(self) -> None:
        """Sends every answer whose turn it is."""
        self._line.send(self._transport, self._may_write)
        if self._login is not None:
            self._after_login(self._login)

    def _may_write(self) -> bool:
        return self._writable and not self._transport.is_closing()

    def _after_login(self, login: Login) -> None:
        """Trusts a client that is known with whole frames, and has no more to do with one that failed."""
        if login.failed and not self._slots:
            asyncio.get_running_loop().call_later(0 if login.bare else _LAST_WORDS_SECONDS, self._transport.close)
        elif login.authenticated:
            self._reader.limit(self._settings.max_frame_bytes)
