"""When a broker must end: a signal, or its parent's death."""

from __future__ import annotations

import asyncio
import os
import signal

from broker.clock import Clock

_PARENT_POLL_S = 0.5


async def parent_gone(clock: Clock, parent: int) -> None:
    """Returns when `parent`, the process that started this one, is gone: asked of the system as the very first thing,
    since one that dies while this process starts would not be missed later.

    Polled: Linux could send a signal instead, but it sends it when the parent's THREAD ends, which means nothing.
    """
    while os.getppid() == parent:
        await clock.sleep(_PARENT_POLL_S)


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT ask for an orderly end; a second one of them does not hurry it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
