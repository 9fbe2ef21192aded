"""Memory that was freed goes back to the machine.

glibc keeps the pages of what was freed for the next that asks, and gives back only those at the end of its heap: one
small block behind a burst of large ones holds them all. So a broker that had thousands of odd requests stayed 60 MiB
larger, of which Python's objects were one. `malloc_trim` gives back whole free pages wherever they are; other C
libraries do so by themselves, or have no such call.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from broker.clock import Clock

EVERY_S = 20.0

Trim = Callable[[], object]


def find_trim() -> Trim | None:
    """The C library's own, called without the interpreter; None where there is none."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return lambda: trim(0)


async def give_back(clock: Clock, trim: Trim | None) -> None:
    """Until cancelled, in a thread: it holds the heap for some milliseconds, the loop only if that asks for memory."""
    while trim is not None:
        await clock.sleep(EVERY_S)
        await asyncio.get_running_loop().run_in_executor(None, trim)
