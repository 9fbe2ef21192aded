"""The series of requests and clients, from the counters."""

from __future__ import annotations

from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page


def write_requests(page: Page, counters: Counters, now: float) -> None:
    """Requests by API, their errors, and their recent median and 99th percentile."""
    page.counters("kafka_request_count_total", "Requests answered.", ("type", "version"), counters.requests)
    page.counters("kafka_request_error_count_total", "Requests with an error.", ("type", "error"), counters.errors)
    for label, share in (("50p", 0.5), ("99p", 0.99)):
        name = f"kafka_request_time_{label}_milliseconds"
        found = {kind: durations.quantile(share, now) for kind, durations in counters.durations.items()}
        page.family(name, "gauge", "Time to answer, over the last one to two minutes.")
        for kind, seconds in found.items():
            if seconds is not None:
                page.sample(name, (("type", kind),), seconds * 1000)
    page.family("kafka_server_connection_count", "gauge", "Open client connections.")
    for listener, count in counters.connections.items():
        page.sample("kafka_server_connection_count", (("listener", listener),), count)


def write_clients(page: Page, counters: Counters) -> None:
    """What each client moves, and where it is."""
    page.counters(
        "streampilot_client_io_bytes_total",
        "Record bytes by client; client_zone is empty where it is unknown.",
        ("client_id", "direction", "client_zone", "software"),
        counters.client_bytes,
    )
    page.counters(
        "streampilot_client_cross_zone_bytes_total",
        "Record bytes between this broker's zone and another; no series where the client's zone is unknown.",
        ("client_id", "direction"),
        counters.cross_zone_bytes,
    )
    page.counters(
        "streampilot_client_requests_total",
        "Produce and Fetch requests by client.",
        ("client_id", "direction"),
        counters.client_requests,
    )
    page.counters(
        "streampilot_client_batches_total",
        "Record batches by client and codec.",
        ("client_id", "codec"),
        counters.client_batches,
    )
    page.counters(
        "streampilot_client_batch_bytes_total",
        "Bytes of record batches by client and codec.",
        ("client_id", "codec"),
        counters.client_batch_bytes,
    )
