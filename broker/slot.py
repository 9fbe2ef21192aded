"""Small parts of a connection: the place of an answer on the wire, the line of those places, and a socket's setting."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from broker.api.registry import Chunks, Spoken
from broker.crowd import Crowd

WRITE_HIGH_BYTES = 1024 * 1024
"""Unsent, above which a connection takes no more answers."""


class Slot:
    """One request under way; its place in the queue is its answer's place on the wire."""

    __slots__ = ("began", "chunks", "correlation_id", "done", "request", "size_bytes", "spoken", "task")

    def __init__(self, size_bytes: int, correlation_id: int, spoken: Spoken, request: Any, began: float) -> None:
        self.size_bytes, self.correlation_id, self.spoken, self.request = size_bytes, correlation_id, spoken, request
        self.began = began
        """When, in monotonic seconds."""
        self.done = False
        self.chunks: Chunks | None = None
        """The answer, frame length and header included; None when none is sent."""
        self.task: asyncio.Task[None] | None = None
        """Only when it may be cancelled because its client went."""


class Line:
    """The requests of one connection that are under way, oldest first; what they hold counts for the whole crowd."""

    __slots__ = ("_crowd", "_held_bytes", "slots")

    def __init__(self, crowd: Crowd[Any]) -> None:
        self.slots: deque[Slot] = deque()
        self._crowd = crowd
        self._held_bytes = 0

    def take(self, slot: Slot) -> None:
        self.slots.append(slot)
        self._held_bytes += slot.size_bytes
        self._crowd.take(slot.size_bytes)

    def send(self, transport: asyncio.WriteTransport, may: Callable[[], bool]) -> None:
        """Writes every answer whose turn it is, while it `may`; together, since a send costs more than a request."""
        ready: Chunks = []
        ready_bytes = 0
        while self.slots and self.slots[0].done and may():
            slot = self.slots.popleft()
            self._held_bytes -= slot.size_bytes
            self._crowd.release(slot.size_bytes)
            if slot.chunks is not None:
                ready += slot.chunks
                ready_bytes += sum([len(chunk) for chunk in slot.chunks])
            if ready_bytes >= WRITE_HIGH_BYTES:
                transport.writelines(ready)
                ready, ready_bytes = [], 0
        if ready:
            transport.writelines(ready)

    def drop(self) -> None:
        """The client is gone: nobody waits for what may be cancelled."""
        for slot in self.slots:
            if slot.task is not None:
                slot.task.cancel()
        self.slots.clear()
        self._crowd.release(self._held_bytes)
        self._held_bytes = 0


def no_delay(transport: asyncio.BaseTransport) -> None:
    """Answers are small and awaited: Nagle's algorithm would hold them back."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
