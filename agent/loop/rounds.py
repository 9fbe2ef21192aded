"""The beat: one round each scrape interval, never two at once, the work in threads. An overrun is counted and said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.model.clock import Clock

log = logging.getLogger("streampilot.agent")


@dataclass(kw_only=True)
class RoundStats:
    """What the rounds cost so far."""

    completed: int = 0
    overruns: int = 0
    failures: int = 0
    last_end: float = 0.0
    """Seconds since 1970."""
    last_error: str = ""
    durations: dict[str, float] = field(default_factory=dict)
    """Phase to seconds, in the last round."""


async def beat(
    work: Callable[[], Awaitable[None]], *, every_s: float, clock: Clock, stats: RoundStats, stop: asyncio.Event
) -> None:
    """Calls `work` every `every_s` seconds until `stop`; a failed round is counted and said, and the next one runs.

    A round that outlasts the interval makes the next one start at the next whole interval: no catching up.
    """
    due = clock.monotonic()
    while not stop.is_set():
        try:
            await work()
            stats.completed += 1
            stats.last_error = ""
        except Exception as error:
            stats.failures += 1
            stats.last_error = f"{type(error).__name__}: {error}"
            log.warning("round failed: %s", stats.last_error)
            log.debug("round failed", exc_info=True)
        stats.last_end = clock.now().timestamp()
        due += every_s
        late = clock.monotonic() - due
        if late > 0:
            stats.overruns += 1
            log.warning("a round took %.1f s, the interval is %.1f s", late + every_s, every_s)
            due += every_s * (int(late / every_s) + 1)
        await wait_for(stop, max(0.0, due - clock.monotonic()))


async def wait_for(stop: asyncio.Event, seconds: float) -> None:
    """Sleeps, or returns at once when told to stop."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
