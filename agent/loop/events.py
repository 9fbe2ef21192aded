"""What just happened, for whoever is listening: rounds, findings that opened or closed, plans that changed state."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 200
QUEUED = 256
"""A listener that falls further behind loses the oldest events, and is told so by the gap in their numbers."""


@dataclass(frozen=True, kw_only=True)
class Event:
    n: int
    """Counts up from 1; a gap is a loss."""
    at: str
    kind: str
    """round, finding, plan, source, note."""
    data: Mapping[str, Any]


class Bus:
    """Publish from any thread, listen from any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._listeners: list[tuple[asyncio.AbstractEventLoop, asyncio.Queue[Event]]] = []
        self._n = 0

    def publish(self, kind: str, at: str, **data: Any) -> None:
        """Hands the event to every listener and keeps the newest ones."""
        with self._lock:
            self._n += 1
            event = Event(n=self._n, at=at, kind=kind, data=data)
            self._kept.append(event)
            listeners = list(self._listeners)
        for loop, queue in listeners:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_offer, queue, event)

    def kept(self) -> list[Event]:
        """The newest events, oldest first."""
        with self._lock:
            return list(self._kept)

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue of what happens from now on, for the running event loop."""
        entry = (asyncio.get_running_loop(), asyncio.Queue[Event](QUEUED))
        with self._lock:
            self._listeners.append(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._listeners.remove(entry)


class Herald:
    """Publishes for one cluster."""

    def __init__(self, bus: Bus, cluster: str) -> None:
        self._bus = bus
        self._cluster = cluster

    def publish(self, kind: str, at: str, **data: Any) -> None:
        """As the bus does, with the cluster."""
        self._bus.publish(kind, at, cluster=self._cluster, **data)


def _offer(queue: asyncio.Queue[Event], event: Event) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(event)
