"""A broker that must go gives everything away, and keeps nothing that comes back, for as long as its notice stands.

The work is the drain's, as transactions of the metadata: it goes on when this broker dies in the middle. The last
broker of a cluster drains nothing: there is nobody to take its partitions, so it serves them to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from broker.clock import Clock
from broker.errors import EligibleLeadersNotAvailable, KafkaError
from broker.log.config import StorageStats
from broker.metadata import Metadata, doomed
from broker.metadata.image import Image

AGAIN_S = 3.0
"""After which what is still here is sent away anew: its target may have died, or be doomed too."""


class Leaving:
    """Of one broker, from a notice on."""

    def __init__(
        self,
        metadata: Metadata,
        clock: Clock,
        broker: int,
        *,
        announce: Callable[[], Awaitable[None]],
        figures: StorageStats,
        say: Callable[[str], None],
    ) -> None:
        """`announce` makes the other brokers look at the metadata now."""
        self._metadata, self._clock, self._id = metadata, clock, broker
        self._announce, self._figures, self._say = announce, figures, say
        self._told = ""

    async def run(self) -> None:
        """Until cancelled."""
        began, empty = self._clock.monotonic(), False
        while True:
            if self._owned(self._metadata.image) or not self._is_cordoned():
                await self._send_away()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._metadata.until(lambda image: self._owned(image) == 0)
            if not empty and self._owned(self._metadata.image) == 0 and self._is_cordoned():
                empty = True
                self._count(self._clock.monotonic() - began)
            if empty:
                await self._clock.sleep(AGAIN_S)

    async def stay(self) -> None:
        """The notice is gone: takes partitions again, unless a person has cordoned it."""
        await self._metadata.change(lambda tx: doomed.stay(tx, self._id))
        after = "it stays cordoned, as a person wanted it" if self._is_cordoned() else "partitions may come again"
        self._say(f"the spot notice was withdrawn: {after}")

    async def _send_away(self) -> None:
        try:
            partitions = await self._metadata.change(lambda tx: doomed.leave(tx, self._id))
            await self._announce()
        except EligibleLeadersNotAvailable as error:
            self._once(f"nothing is drained: {error.message}; it serves until its end, start another broker")
        except KafkaError as error:
            self._once(f"the drain waits: {error}")
        else:
            self._once(f"giving {partitions} partitions to other brokers")

    def _once(self, text: str) -> None:
        kind = text.partition(":")[0].split()[0]
        if kind != self._told:
            self._told = kind
            self._say(f"spot notice: {text}")

    def _count(self, seconds: float) -> None:
        self._figures.drains += 1
        self._figures.on_operation("drain", "ok", seconds)
        self._say(f"spot notice: all partitions are with other brokers, {seconds:.1f} s after it; taking none")

    def _owned(self, image: Image) -> int:
        return image.owned_by(self._id)

    def _is_cordoned(self) -> bool:
        me = self._metadata.image.brokers.get(self._id)
        return me is not None and me.cordoned
