"""Small parts of a connection: the place of an answer on the wire, and a socket's setting."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from broker.api.registry import Chunks, Spoken


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


def no_delay(transport: asyncio.BaseTransport) -> None:
    """Answers are small and awaited: Nagle's algorithm would hold them back."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
