"""Leaving when the parent has gone: how a child of a killed `up` does not outlive it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_EVERY_S = 0.5


def leave_with_parent(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    """Calls `leave` once, when this process's parent is no longer the one it was started by."""
    parent = os.getppid()

    def look() -> None:
        if os.getppid() != parent:
            leave()
        else:
            loop.call_later(_EVERY_S, look)

    loop.call_later(_EVERY_S, look)
