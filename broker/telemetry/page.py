"""`GET /metrics`, whole: every series this broker has, in one pass over its parts."""

from __future__ import annotations

from dataclasses import dataclass

from broker.clock import Clock
from broker.log import Logs
from broker.metadata import Metadata
from broker.objects import ObjectStore
from broker.telemetry.clients import write_clients, write_requests
from broker.telemetry.cluster import write_cluster, write_partitions, write_store
from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page
from broker.telemetry.loopwatch import LoopWatch
from broker.telemetry.process import write_process
from broker.telemetry.storage import StorageTimes


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
class Metrics:
    """The page's sources."""

    identity: Identity
    clock: Clock
    counters: Counters
    times: StorageTimes
    watch: LoopWatch
    metadata: Metadata
    logs: Logs
    store: ObjectStore

    def text(self) -> str:
        """The page as of now."""
        page = Page()
        image = self.metadata.image
        self.counters.forget_topics(image.topics.keys())
        self._write_identity(page)
        write_partitions(page, self.counters, self.logs)
        write_cluster(page, image, self.identity.broker_id)
        write_requests(page, self.counters, self.clock.monotonic())
        write_clients(page, self.counters)
        self.times.write(page)
        write_store(page, self.store.meter.requests, self.store.meter.bytes)
        self._write_wal(page)
        return page.text()

    def _write_identity(self, page: Page) -> None:
        me = self.identity
        labels = (
            ("broker_id", str(me.broker_id)),
            ("cluster_id", self.metadata.image.cluster_id),
            ("cluster", me.cluster),
            ("zone", me.zone or ""),
            ("version", me.version),
            ("spot", "true" if me.spot else "false"),
            ("host", me.host),
        )
        page.family("streampilot_broker_info", "gauge", "Who this is; always 1.")
        page.sample("streampilot_broker_info", labels, 1)
        write_process(page, me.started_ms)
        broker = self.metadata.image.brokers.get(me.broker_id)
        registered = broker.registered_at_ms / 1000 if broker is not None else None
        name = "streampilot_broker_registered_timestamp_seconds"
        page.gauge(name, "When this broker joined the cluster, Unix time.", registered)
        name = "streampilot_event_loop_max_step_seconds"
        page.gauge(name, "Longest recent step of the event loop, waiting for a core left out.", self.watch.longest_s())
        name = "streampilot_event_loop_max_lag_seconds"
        page.gauge(name, "Longest recent delay of the event loop, whoever caused it.", self.watch.longest_lag_s())

    def _write_wal(self, page: Page) -> None:
        stats = self.logs.stats
        pending, oldest_s = self.logs.pending_upload_bytes, self.logs.oldest_pending_s
        page.gauge("kafka_stream_wal_pending_upload_bytes", "Durable in the WAL, not in objects yet.", pending)
        page.gauge("kafka_stream_wal_oldest_pending_seconds", "Age of the oldest of them.", oldest_s)
        page.gauge("streampilot_wal_capacity_bytes", "Size of the WAL's ring.", stats.wal_capacity_bytes)
        page.family("streampilot_wal_errors_total", "counter", "Writes or syncs of the WAL that failed.")
        page.sample("streampilot_wal_errors_total", (), stats.wal_errors)
        if self.metadata.image.controller == self.identity.broker_id:
            page.gauge("kafka_stream_object_count", "Live objects of the cluster.", stats.live_objects)
            page.gauge("kafka_stream_object_bytes", "Their bytes.", stats.live_object_bytes)
