"""Clients that report their own metrics (KIP-714): who they are, when they pushed last, and what.

1. An instance is known by the id that it was given; its pushes come no faster than half the interval it was told.
2. At most MAX_INSTANCES are kept, and one that was silent for three intervals is forgotten: its series end.
   What it is asked for is in subscriptions.py.
3. Instances of one client id, version and zone share their series. At most MAX_SERIES are shown.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from broker.clock import Clock
from broker.errors import (
    InvalidRequest,
    TelemetryTooLarge,
    ThrottlingQuotaExceeded,
    UnknownSubscriptionId,
)
from broker.telemetry.counters import Client, Counters
from broker.telemetry.exposition import Page
from broker.telemetry.otlp import MAX_BYTES, PREFIX, read_push
from broker.telemetry.subscriptions import DEFAULT_ID, ResourceConfigs, Subscriptions, Wanted

MAX_INSTANCES = 1000
MAX_SERIES = 10_000
_READING_AT_ONCE = 2
_RESERVED = UUID(int=0)


@dataclass(kw_only=True, slots=True)
class _Instance:
    """One running client."""

    labels: tuple[str, str, str, str]
    """Client id, software, version, zone."""
    heard_s: float
    wanted: Wanted
    pushed_s: float | None = None
    ended: bool = False
    values: dict[str, float] = field(default_factory=dict)


class ClientTelemetry:
    """Of one broker."""

    def __init__(
        self,
        *,
        clock: Clock,
        counters: Counters,
        interval_s: float,
        configs: Callable[[], ResourceConfigs] = dict,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        """`interval_s` 0: clients that no subscription of `configs` fits are asked for nothing."""
        everything = Wanted(id=DEFAULT_ID, interval_s=interval_s, metrics=(PREFIX,) if interval_s else ())
        self._subscriptions = Subscriptions(configs, everything)
        self._clock, self._counters, self._new_id = clock, counters, new_id
        self._instances: dict[UUID, _Instance] = {}
        """The longest silent one first."""
        self._reading = asyncio.Semaphore(_READING_AT_ONCE)
        self.pushes = 0
        self.refused = 0

    def subscribe(self, given: UUID, client: Client, version: str) -> tuple[UUID, Wanted]:
        """The id of an instance that asks what to report, a new one for who has none; and what to report."""
        instance_id = self._new_id() if given == _RESERVED else given
        return instance_id, self._heard(instance_id, client, version).wanted

    async def push(
        self,
        given: UUID,
        client: Client,
        version: str,
        *,
        subscription: int,
        terminating: bool,
        codec: int,
        data: bytes | memoryview,
    ) -> None:
        """Takes what an instance reports. A KafkaError says why not; nothing is kept then."""
        try:
            await self._push(given, client, version, subscription, terminating, codec, data)
        except BaseException:
            self.refused += 1
            raise
        self.pushes += 1

    async def _push(
        self,
        given: UUID,
        client: Client,
        version: str,
        subscription: int,
        terminating: bool,
        codec: int,
        data: bytes | memoryview,
    ) -> None:
        if given == _RESERVED:
            raise InvalidRequest("a push without client instance id: ask GetTelemetrySubscriptions for one")
        instance, now = self._heard(given, client, version), self._clock.monotonic()
        if instance.ended:
            raise InvalidRequest(f"client instance {given} said that it ended")
        wanted = instance.wanted
        if not terminating and instance.pushed_s is not None and now - instance.pushed_s < wanted.interval_s / 2:
            raise ThrottlingQuotaExceeded(f"client instance {given} pushes oftener than every {wanted.interval_s:g} s")
        if subscription != wanted.id or not wanted.metrics:
            raise UnknownSubscriptionId(f"subscription {subscription} is not {wanted.id}: ask again for it")
        if len(data) > MAX_BYTES:
            raise TelemetryTooLarge(f"a push of {len(data)} bytes; {MAX_BYTES} are taken")
        instance.pushed_s, instance.ended = now, terminating
        async with self._reading:
            found = await asyncio.to_thread(read_push, codec, bytes(data))
        instance.values = found

    def _heard(self, instance_id: UUID, client: Client, version: str) -> _Instance:
        now = self._clock.monotonic()
        name, zone = self._counters.whereabouts(client)
        labels = (name, client.software_name, version, zone or "")
        wanted = self._subscriptions.of(
            {
                "client_instance_id": str(instance_id),
                "client_id": client.client_id,
                "client_software_name": client.software_name,
                "client_software_version": version,
                "client_source_address": client.peer,
            }
        )
        instance = self._instances.pop(instance_id, None)
        if instance is None:
            self._make_room(MAX_INSTANCES - 1)
            instance = _Instance(labels=labels, heard_s=now, wanted=wanted)
        instance.labels, instance.heard_s, instance.wanted = labels, now, wanted
        self._instances[instance_id] = instance
        return instance

    def _make_room(self, most: int) -> None:
        """Forgets the silent, and the longest silent ones past `most`."""
        now = self._clock.monotonic()
        for instance_id, instance in list(self._instances.items()):
            is_silent = now - instance.heard_s >= 3 * max(instance.wanted.interval_s, 1.0)
            if is_silent or len(self._instances) > most:
                del self._instances[instance_id]

    def write(self, page: Page) -> None:
        """The series of those that are not silent."""
        self._make_room(MAX_INSTANCES)
        values: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for instance in self._instances.values():
            for metric, value in instance.values.items():
                key = (*instance.labels, metric)
                if key in values or len(values) < MAX_SERIES:
                    values[key] = values[key] + value if metric.endswith(".total") else max(values[key], value)
        page.table("streampilot_client_telemetry", values)
        page.one("streampilot_client_telemetry_instances", len(self._instances))
        page.table("streampilot_client_telemetry_pushes_total", {("taken",): self.pushes, ("refused",): self.refused})
