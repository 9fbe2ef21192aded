"""The broker's sockets: who listens where, who is connected, and who is silent for too long.

A listener that encrypts is opened anew when its certificate changes: the socket stays, so that nobody is refused, and
connections that are there keep what they have.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass

from broker.api.context import Settings
from broker.clock import Clock
from broker.connection import Connect, Connection
from broker.crowd import Crowd
from broker.errors import InvalidConfig
from broker.security.tls import Tls
from broker.seldom import Seldom

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
_STOP_SECONDS = 2.0
_HANDSHAKE_SECONDS = 10.0
"""A TLS handshake that takes longer is no client's."""


@dataclass(kw_only=True)
class _Listener:
    name: str
    tls: Tls | None
    servers: list[asyncio.Server]


class Server:
    """Listens for Kafka clients. `connect` makes the context of each connection."""

    def __init__(self, connect: Connect, settings: Settings, clock: Clock) -> None:
        self._connect = connect
        self._settings = settings
        self._clock = clock
        self._listeners: list[_Listener] = []
        self._peers: Crowd[Connection] = Crowd(Seldom(clock, log.warning))
        self._sweeper: asyncio.Task[None] | None = None

    async def listen(self, listener: str, host: str, port: int, tls: Tls | None = None) -> tuple[str, int]:
        """Opens one listener; OSError when the port is taken. Returns the address it got, port 0 resolved."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: self._connection(listener, tls),
            host or None,
            port,
            backlog=512,
            ssl=tls.context if tls is not None else None,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS if tls is not None else None,
        )
        self._listeners.append(_Listener(name=listener, tls=tls, servers=[server]))
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())
        bound: tuple[str, int] = server.sockets[0].getsockname()[:2]
        return bound

    async def renew(self) -> None:
        """Takes up certificates that changed, for the connections that come from now on."""
        for listener in self._listeners:
            if listener.tls is not None:
                try:
                    if await asyncio.to_thread(listener.tls.changed):
                        await self._reopen(listener, listener.tls)
                except InvalidConfig as error:
                    log.warning("listener %s keeps its old certificate: %s", listener.name, error)

    async def _reopen(self, listener: _Listener, tls: Tls) -> None:
        """The same sockets, with the new certificate; no moment without one that listens."""
        loop, old = asyncio.get_running_loop(), listener.servers
        listener.servers = [
            await loop.create_server(
                lambda: self._connection(listener.name, tls),
                sock=socket.socket(fileno=os.dup(each.fileno())),
                backlog=512,
                ssl=tls.context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
            for server in old
            for each in server.sockets
        ]
        for server in old:
            server.close()

    async def stop(self) -> None:
        """Takes no more clients, lets what is in flight be answered for a moment, then hangs up."""
        for listener in self._listeners:
            for server in listener.servers:
                server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._peers.stopping = True
        for connection in tuple(self._peers.connections):
            connection.stop_reading()
        deadline = self._clock.monotonic() + _STOP_SECONDS
        while any(each.busy for each in self._peers.connections) and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.01)
        for connection in tuple(self._peers.connections):
            connection.abort()

    def hold_producers(self, on: bool) -> None:
        """Stops reading from those who produce, or goes on with it (law 12)."""
        self._peers.hold(on)

    def _connection(self, listener: str, tls: Tls | None) -> Connection:
        return Connection(listener, tls, self._connect, self._settings, self._clock, self._peers)

    async def _sweep(self) -> None:
        """Hangs up on those who say nothing for long, or a frame too slowly."""
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            self._peers.seldom.sweep()
            now = self._clock.monotonic()
            for connection in tuple(self._peers.connections):
                connection.close_if_idle(now)
            await self.renew()
