"""The series of partitions this broker owns, and of the cluster as it sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from broker.metadata.image import NOBODY, Image
from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page, escape


class LogFigures(Protocol):
    """What is shown of a partition's log; `broker.log.Log` is one, a test's tuple another."""

    @property
    def topic(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def log_start(self) -> int: ...
    @property
    def log_end(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


def write_partitions(page: Page, counters: Counters, owned: Iterable[LogFigures]) -> None:
    """Bytes, offsets and sizes by partition: one pass, one formatted string per series (law 15)."""
    io, starts, ends, sizes = [], [], [], []
    for log in owned:
        labels = f'topic="{escape(log.topic)}",partition="{log.index}"'
        bytes_in, bytes_out = counters.partition_bytes.get((log.topic, log.index), (0, 0))
        io.append(f'kafka_network_io_bytes_total{{{labels},direction="in"}} {bytes_in}')
        io.append(f'kafka_network_io_bytes_total{{{labels},direction="out"}} {bytes_out}')
        starts.append(f"kafka_log_start_offset{{{labels}}} {log.log_start}")
        ends.append(f"kafka_log_end_offset{{{labels}}} {log.log_end}")
        sizes.append(f"kafka_log_size{{{labels}}} {log.size_bytes}")
    for name, kind, help_text, lines in (
        ("kafka_network_io_bytes_total", "counter", "Record bytes by partition, from its owner.", io),
        ("kafka_log_start_offset", "gauge", "First offset.", starts),
        ("kafka_log_end_offset", "gauge", "Next offset.", ends),
        ("kafka_log_size", "gauge", "Bytes in the log.", sizes),
    ):
        page.family(name, kind, help_text)
        page.lines(lines)
    totals = {("in",): float(counters.bytes_in), ("out",): float(counters.bytes_out)}
    name = "kafka_broker_network_io_bytes_total"
    page.counters(name, "Record bytes through this broker.", ("direction",), totals)
    page.counters("kafka_message_count_total", "Records produced.", ("topic",), counters.topic_records)


def write_cluster(page: Page, image: Image, broker_id: int) -> None:
    """Counts that say how the cluster is."""
    partitions = [p for topic in image.topics.values() if not topic.internal for p in topic.partitions]
    owned = sum(p.owner == broker_id for p in partitions)
    alive = {broker.id for broker in image.brokers.values() if broker.alive}
    offline = sum(p.owner == NOBODY or p.owner not in alive for p in partitions)
    topics = sum(not topic.internal for topic in image.topics.values())
    leads = image.controller == broker_id
    page.gauge("kafka_controller_active_count", "1 on the controller.", float(leads))
    page.gauge("kafka_broker_active_count", "Live brokers.", len(alive))
    page.family("streampilot_registered_broker", "gauge", "1 alive, 0 missed; one that signed off is not listed.")
    for broker in image.brokers.values():
        if broker.alive or not broker.departed:
            page.sample("streampilot_registered_broker", (("broker_id", str(broker.id)),), float(broker.alive))
    page.gauge("kafka_partition_count", "Partitions this broker owns, internal ones left out.", owned)
    page.gauge("kafka_topic_count", "Topics, internal ones left out.", topics)
    page.gauge("kafka_offline_partition_count", "Partitions nobody alive owns.", offline)


def write_store(page: Page, requests: Mapping[tuple[str, str], int], moved: Mapping[tuple[str, str], int]) -> None:
    """What crossed the store's boundary."""
    name = "streampilot_object_store_requests_total"
    page.counters(name, "Requests to the object store, retries included.", ("operation", "status"), requests)
    name = "streampilot_object_store_bytes_total"
    page.counters(name, "Bytes to (out) and from (in) the object store.", ("operation", "direction"), moved)
