"""Asks the metadata service, round after round, and acts on what it says; without `--spot-notices` it does nothing.

1. A service that is absent, slow or talks nonsense costs a line an hour: no answer is never a notice, and never takes
   one back.
2. A notice is taken back only when the service has said so `SURE` times in a row: one that flaps must not make
   partitions flap.
3. Only an interruption empties the broker. A rebalance recommendation is told and exported: EC2 gives it hours ahead
   or for nothing, and whoever wants to act on it has `POST /admin/v1/drain`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from broker.clock import Clock
from broker.errors import KafkaError
from broker.spot.leaving import Leaving
from broker.spot.notice import INTERRUPTION, NoAnswer, Notice, Service, shown_instant
from broker.spot.places import Place

SURE = 3
_TOLD_EVERY_S = 3600.0


Open = Callable[[], Service]


def asked(place: Place | None, clock: Clock) -> Open | None:
    """How to open the service at a place; a broker that is not to watch does not load what watching needs."""
    if place is None:
        return None

    def opened() -> Service:
        from broker.spot.services import open_service

        return open_service(place, clock)

    return opened


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A notice that was not taken back."""

    notice: Notice
    since_ms: int
    missed: int = 0
    """Looks in a row that did not show it any more."""


class SpotWatch:
    """Of one broker."""

    def __init__(self, service: Open | None, leaving: Leaving, clock: Clock, say: Callable[[str], None]) -> None:
        """`service`: who is asked; None: nobody."""
        self._service, self._leaving, self._clock, self._say = service, leaving, clock, say
        self._standing: dict[str, Standing] = {}
        self._looking: asyncio.Task[None] | None = None
        self._going: asyncio.Task[None] | None = None
        self._told_at: float | None = None
        """When it was last said that nobody answers; None while somebody does."""
        self.looks: dict[tuple[str], int] = {}
        """By outcome: ok, error."""

    @property
    def standing(self) -> Mapping[str, Standing]:
        """By kind."""
        return self._standing

    def start(self) -> None:
        if self._service is not None:
            self._looking = asyncio.get_running_loop().create_task(self._look_on(self._service()))

    async def stop(self) -> None:
        tasks = [task for task in (self._looking, self._going) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_on(self, service: Service) -> None:
        while True:
            try:
                found = {notice.kind: notice for notice in await service.look()}
            except NoAnswer as error:
                self._count("error")
                self._no_answer(service, error)
            else:
                self._count("ok")
                self._answered(service)
                await self._take(found)
            await self._clock.sleep(service.every_s)

    async def _take(self, found: Mapping[str, Notice]) -> None:
        for kind, notice in found.items():
            known = self._standing.get(kind)
            if known is None:
                self._standing[kind] = Standing(notice=notice, since_ms=self._clock.wall_ms())
                self._begin(notice)
                continue
            # Its first words stay, because they are labels of a series.
            kept = replace(notice, detail=known.notice.detail)
            self._standing[kind] = Standing(notice=kept, since_ms=known.since_ms)
        for kind in self._standing.keys() - found.keys():
            missed = self._standing[kind].missed + 1
            if missed < SURE:
                self._standing[kind] = replace(self._standing[kind], missed=missed)
            elif await self._end(kind):
                del self._standing[kind]

    def _begin(self, notice: Notice) -> None:
        said = f" ({notice.detail})" if notice.detail else ""
        if notice.kind != INTERRUPTION:
            self._say(f"spot warning of {notice.source}{said}: this machine may be taken away; nothing is moved yet")
            return
        by = "at an unknown time"
        if notice.deadline_ms is not None:
            left_s = (notice.deadline_ms - self._clock.wall_ms()) / 1000
            by = f"at {shown_instant(notice.deadline_ms)}, in {left_s:.0f} s"
        self._say(f"spot notice of {notice.source}{said}: this machine is taken away {by}")
        self._going = asyncio.get_running_loop().create_task(self._leaving.run())

    async def _end(self, kind: str) -> bool:
        """Whether the notice is over; False when that could not be written, and must be tried again."""
        if kind != INTERRUPTION:
            self._say("the spot warning was withdrawn")
            return True
        if self._going is not None:
            self._going.cancel()
            await asyncio.gather(self._going, return_exceptions=True)
            self._going = None
        try:
            await self._leaving.stay()
        except KafkaError:
            return False
        return True

    def _count(self, outcome: str) -> None:
        self.looks[outcome,] = self.looks.get((outcome,), 0) + 1

    def _no_answer(self, service: Service, error: NoAnswer) -> None:
        now = self._clock.monotonic()
        if self._told_at is None or now - self._told_at >= _TOLD_EVERY_S:
            self._told_at = now
            where = f"{service.source} at {service.address}"
            self._say(f"spot notices cannot be had from {where}: {error}; asking on, said once an hour")

    def _answered(self, service: Service) -> None:
        if self._told_at is not None:
            self._told_at = None
            self._say(f"spot notices: {service.source} at {service.address} answers again")
