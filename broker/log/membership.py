"""This broker among the others: its heartbeat, its look at theirs, and the controller's duty when it falls to this one
(law 11).

Two things end another broker: silence for a session, a short one where nobody listens at its address any more, and its
WAL's lock found free on this host, which needs no waiting because the kernel gives a lock back only when the holder is
gone. Either way the words are the controller's, conditional on its epoch, and what makes them safe is the fence that
the recoverer must obtain (law 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

from broker.clock import Clock
from broker.errors import KafkaError, NotController, StaleBrokerEpoch
from broker.log.config import LogsConfig
from broker.log.liveness import Liveness
from broker.metadata import members
from broker.metadata.database import MetadataUnavailable
from broker.metadata.image import NOBODY, Broker, Image
from broker.metadata.store import Metadata
from broker.wal.base import WalError
from broker.wal.kinds import Say, Site, Wals


@dataclass(frozen=True, kw_only=True)
class _Gone:
    """A broker that is over."""

    how: str
    silent_at: int | None
    """Where its heartbeat stands still; None when something else than silence tells."""


class Membership:
    """Runs from registration to deregistration."""

    def __init__(
        self,
        metadata: Metadata,
        clock: Clock,
        config: LogsConfig,
        *,
        broker_id: int,
        epoch: int,
        wals: Wals,
        say: Say,
        lost: Callable[[Exception], None],
        absent: Callable[[Collection[Broker]], Awaitable[frozenset[int]]],
    ) -> None:
        self._metadata, self._clock, self._config = metadata, clock, config
        self._id, self._epoch, self._wals = broker_id, epoch, wals
        self._say, self._lost, self._absent = say, lost, absent
        self._liveness = Liveness(config.session_s, config.absent_session_s)
        self.controller_epoch: int | None = None
        """None while another broker is the controller."""
        self._orphans_since: float | None = None
        self._beat_asked: float | None = None
        """When the heartbeat under way was handed to the store."""

    async def beat(self) -> None:
        """The heartbeat, until cancelled. A broker that was declared dead must exit: its partitions are or will be
        elsewhere.
        """
        while True:
            self._beat_asked = self._clock.monotonic()
            try:
                await self._metadata.write(lambda tx: members.heartbeat(tx, self._id, self._epoch))
            except StaleBrokerEpoch as error:
                self._lost(error)
                return
            except MetadataUnavailable as error:
                self._liveness.restart()
                self._say(f"heartbeat not written, trying again: {error}")
            self._beat_asked = None
            await self._clock.sleep(self._config.heartbeat_s)

    async def watch(self) -> None:
        """The poll, until cancelled: the newest image, who is silent, and what a controller must do."""
        away = False
        while True:
            try:
                image = await self._metadata.refresh()
                away = False
                self._observe(self._clock.monotonic())
                await self._duties(image)
            except MetadataUnavailable as error:
                if not away:
                    self._say(f"the metadata store is away, going on with what is known: {error}")
                self._liveness.restart()
                away = True
            except NotController:
                self.controller_epoch = None
            except KafkaError as error:
                self._say(f"controller duty failed, trying again: {error}")
            await self._metadata.nudged(self._config.poll_s)

    def _observe(self, now: float) -> None:
        """While this broker's own heartbeat waits for the store, others' may well wait behind it."""
        if self._beat_asked is not None and now - self._beat_asked > self._config.heartbeat_s:
            self._liveness.restart()
        else:
            self._liveness.observe(self._metadata.beats, now)

    async def _duties(self, image: Image) -> None:
        if self._id not in image.brokers or image.brokers[self._id].epoch != self._epoch:
            return
        gone = self._gone(image, await self._knock(image))
        if image.controller != self._id or self.controller_epoch is None:
            self.controller_epoch = None
            if image.controller not in (NOBODY, self._id) and not self._is_over(image, gone):
                return
            self.controller_epoch = await self._metadata.change(
                lambda tx: members.take_control(tx, self._id, self._epoch, image.controller)
            )
            if self.controller_epoch is None:
                return
            self._say(f"broker {self._id} is the controller now (epoch {self.controller_epoch})")
        await self._bury(self._metadata.image, gone)
        await self._pass_on(self._metadata.image)
        await self._find_owners(self._metadata.image)

    def _is_over(self, image: Image, gone: dict[int, _Gone]) -> bool:
        controller = image.brokers.get(image.controller)
        return controller is None or not controller.alive or controller.id in gone

    async def _knock(self, image: Image) -> frozenset[int]:
        """Asks at the doors of those whose hearts are late. Only a refusal counts: it comes from a host that lives."""
        others = [broker.id for broker in image.alive() if broker.id != self._id]
        late = self._liveness.doubtful(others, self._clock.monotonic())
        return await self._absent([image.brokers[broker] for broker in late])

    def _gone(self, image: Image, absent: frozenset[int]) -> dict[int, _Gone]:
        """Live brokers that are over. The controller is judged first: no one else may bury."""
        others = [broker for broker in image.alive() if broker.id != self._id]
        others.sort(key=lambda broker: broker.id != image.controller)
        gone = {
            broker.id: _Gone(how="its WAL lock is free", silent_at=None) for broker in others if self._let_go(broker)
        }
        now = self._clock.monotonic()

        def is_starved(broker: int) -> bool:
            patient = self._liveness.silence_s(broker, now) <= self._config.running_session_s
            return patient and self._runs(image.brokers[broker])

        for broker in self._liveness.silent([b.id for b in others if b.id not in gone], now, is_starved, absent):
            how = f"silent for {self._liveness.silence_s(broker, now):.1f} s"
            how += " and nobody listens there" if broker in absent else ""
            gone[broker] = _Gone(how=how, silent_at=self._liveness.counter(broker))
        return gone

    def _runs(self, broker: Broker) -> bool:
        """Whether its process is seen to run on this host; False where it cannot be seen."""
        try:
            return self._wals.of(broker.wal_url).is_running(site(broker))
        except WalError:
            return False

    def _let_go(self, broker: Broker) -> bool:
        try:
            return self._wals.of(broker.wal_url).is_free(site(broker))
        except WalError:
            return False

    async def _bury(self, image: Image, gone: dict[int, _Gone]) -> None:
        for broker_id, found in gone.items():
            dead = image.brokers[broker_id]
            recoverer = self._recoverer(image, dead, set(gone))
            epoch = self._held_epoch()
            await self._metadata.change(
                partial(
                    members.declare_dead,
                    me=self._id,
                    controller_epoch=epoch,
                    dead=dead.id,
                    dead_epoch=dead.epoch,
                    recoverer=recoverer,
                    silent_at=found.silent_at,
                )
            )
            if self._metadata.image.brokers[broker_id].alive:
                continue  # its heart beat once more, or it is registered again: another look will tell
            self._liveness.judged(broker_id, self._clock.monotonic())
            self._say(f"broker {broker_id} is dead ({found.how}); broker {recoverer} recovers it")

    async def _pass_on(self, image: Image) -> None:
        """Recoveries whose recoverer died too get another one."""
        alive = {broker.id for broker in image.alive()}
        for recovery in image.recoveries.values():
            if recovery.recoverer not in alive:
                recoverer = self._recoverer(image, image.brokers[recovery.broker], set())
                epoch = self._held_epoch()
                await self._metadata.change(
                    partial(
                        members.reassign_recovery,
                        me=self._id,
                        controller_epoch=epoch,
                        lost=recovery,
                        recoverer=recoverer,
                    )
                )

    def _recoverer(self, image: Image, dead: Broker, unfit: set[int]) -> int:
        """A broker on the dead one's host (a WAL on disk is reachable only there), not always the same; else this
        one. Its heart must beat: one that will be declared dead next would only pass the duty on.
        """
        now = self._clock.monotonic()
        beating = {b.id: b.host_id for b in image.alive() if self._liveness.is_beating(b.id, now)}
        fit = [i for i, host_id in beating.items() if host_id == dead.host_id and i not in unfit and i != dead.id]
        return fit[dead.epoch % len(fit)] if fit else self._id

    async def _find_owners(self, image: Image) -> None:
        """Partitions that nobody owns find an owner after a while; their preferred one had its chance to come back."""
        if not any(p.owner == NOBODY for topic in image.topics.values() for p in topic.partitions):
            self._orphans_since = None
            return
        now = self._clock.monotonic()
        if self._orphans_since is None:
            self._orphans_since = now
        if now - self._orphans_since > self._config.orphan_s:
            self._orphans_since = None
            epoch = self._held_epoch()
            settled = await self._metadata.change(lambda tx: members.settle_orphans(tx, self._id, epoch))
            self._say(f"{settled} partitions that nobody owned have owners again")

    def _held_epoch(self) -> int:
        if self.controller_epoch is None:
            raise NotController(f"broker {self._id} is not the controller")
        return self.controller_epoch


def site(broker: Broker) -> Site:
    """Where that broker's WAL is."""
    return Site(url=broker.wal_url, broker=broker.id, host_id=broker.host_id)
