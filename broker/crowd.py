"""What the connections of one server share: who they are, how many request bytes they hold together, and whether those
who produce have to wait (law 12). Each looks at it before it reads on, and is told when there is room again.
"""

from __future__ import annotations

import asyncio
from typing import Generic, Protocol, TypeVar

from broker.seldom import Seldom
from broker.wire.frames import RECEIVE_BYTES

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
"""Request bytes of all connections together; part of the memory a broker is bound to (log/config.py)."""


class Member(Protocol):
    def regulate(self) -> None:
        """The bounds have changed."""

    def go_on(self) -> None:
        """There is room again."""


Connection = TypeVar("Connection", bound=Member)


class Crowd(Generic[Connection]):
    def __init__(self, seldom: Seldom) -> None:
        self.seldom = seldom
        self.connections: set[Connection] = set()
        self.stopping = False
        self.held = False
        """Whether those who produce have to wait."""
        self.receive = bytearray(RECEIVE_BYTES)
        """Where reads of all sockets land; each is taken out before the next."""
        self._bytes = 0

    @property
    def full(self) -> bool:
        return self._bytes >= MAX_IN_FLIGHT_BYTES

    def hold(self, on: bool) -> None:
        """Makes those who produce wait, or lets them go on."""
        self.held = on
        if not on:
            self._wake()
        for connection in tuple(self.connections) if on else ():
            connection.regulate()

    def take(self, size_bytes: int) -> None:
        self._bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        was_full = self.full
        self._bytes -= size_bytes
        if was_full and not self.full:
            self._wake()

    def _wake(self) -> None:
        for connection in tuple(self.connections):
            asyncio.get_running_loop().call_soon(connection.go_on)
