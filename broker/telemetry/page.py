"""`GET /metrics`, whole: every series this broker has, in one pass over its parts."""

from __future__ import annotations

from dataclasses import dataclass

from broker.clock import Clock
from broker.log import Logs
from broker.metadata import Metadata
from broker.metadata.image import Image
from broker.objects import ObjectStore
from broker.spot.watch import SpotWatch
from broker.telemetry.clients import write_clients, write_requests, write_security
from broker.telemetry.cluster import Partitions, Placement, placement, write_cluster
from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page
from broker.telemetry.loopwatch import LoopWatch
from broker.telemetry.process import write_process
from broker.telemetry.pushed import ClientTelemetry
from broker.telemetry.spot import write_spot
from broker.telemetry.storage import StorageTimes, write_caches, write_compaction, write_objects, write_operations
from broker.turns import Turns


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What does not change while the process lives."""

    broker_id: int
    cluster: str
    zone: str | None
    version: str
    spot: bool
    host: str
    started_ms: int


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the page is read from."""

    identity: Identity
    clock: Clock
    turns: Turns
    counters: Counters
    clients: ClientTelemetry
    times: StorageTimes
    watch: LoopWatch
    metadata: Metadata
    logs: Logs
    store: ObjectStore
    spot: SpotWatch


class Metrics:
    """Made once per broker: what does not change between two pages is kept."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._partitions = Partitions(sources.counters, sources.turns)
        self._placed: Placement | None = None

    async def text(self) -> str:
        """The page as of now."""
        page, sources = Page(), self._from
        image, broker_id = sources.metadata.image, sources.identity.broker_id
        sources.counters.forget_topics(image.topics.keys())
        self._write_identity(page)
        await self._partitions.write(page, list(sources.logs))
        write_cluster(page, self._placement(image), broker_id)
        await sources.turns.rest()
        write_requests(page, sources.counters, sources.clock.monotonic())
        await sources.turns.rest()
        write_security(page, sources.counters)
        write_clients(page, sources.counters)
        sources.clients.write(page)
        await sources.turns.rest()
        self._write_storage(page, image)
        return page.text()

    def _placement(self, image: Image) -> Placement:
        if self._placed is None or self._placed.image is not image:
            self._placed = placement(image)
        return self._placed

    def _write_identity(self, page: Page) -> None:
        me, image, watch = self._from.identity, self._from.metadata.image, self._from.watch
        labels = (
            ("broker_id", str(me.broker_id)),
            ("cluster_id", image.cluster_id),
            ("cluster", me.cluster),
            ("zone", me.zone or ""),
            ("version", me.version),
            ("spot", "true" if me.spot else "false"),
            ("host", me.host),
        )
        page.family("streampilot_broker_info")
        page.sample("streampilot_broker_info", labels, 1)
        write_process(page, me.started_ms)
        broker = image.brokers.get(me.broker_id)
        registered = broker.registered_at_ms / 1000 if broker is not None else None
        page.one("streampilot_broker_registered_timestamp_seconds", registered)
        page.one("streampilot_broker_cordoned", float(broker.cordoned) if broker is not None else None)
        write_spot(page, self._from.spot)
        page.one("streampilot_event_loop_max_step_seconds", watch.longest_s())
        page.one("streampilot_event_loop_max_lag_seconds", watch.longest_lag_s())

    def _write_storage(self, page: Page, image: Image) -> None:
        logs, stats, meter = self._from.logs, self._from.logs.stats, self._from.store.meter
        self._from.times.write(page)
        page.table("streampilot_object_store_requests_total", meter.requests)
        page.table("streampilot_object_store_bytes_total", meter.bytes)
        page.one("kafka_stream_wal_pending_upload_bytes", logs.pending_upload_bytes)
        page.one("kafka_stream_wal_oldest_pending_seconds", logs.oldest_pending_s)
        page.one("kafka_stream_wal_used_bytes", logs.wal_used_bytes)
        page.one("streampilot_wal_capacity_bytes", stats.wal_capacity_bytes)
        page.one("streampilot_wal_errors_total", stats.wal_errors)
        owned = self._placement(image).owned
        write_operations(page, stats, sum(owned.get(broker, 0) for broker in stats.unreachable_wals))
        write_caches(page, {"tail": stats.tail, "index": stats.index, "block": stats.block})
        write_compaction(page, stats)
        write_objects(page, stats, controller=image.controller == self._from.identity.broker_id)
