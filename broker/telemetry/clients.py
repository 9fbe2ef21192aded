"""The series of requests and clients, from the counters."""

from __future__ import annotations

from broker.telemetry.counters import Counters
from broker.telemetry.exposition import Page


def write_requests(page: Page, counters: Counters, now: float) -> None:
    """Requests by API, their errors, and their recent median and 99th percentile."""
    page.table("kafka_request_count_total", counters.requests)
    page.table("kafka_request_error_count_total", counters.errors)
    for label, share in (("50p", 0.5), ("99p", 0.99)):
        found = {(kind,): durations.quantile(share, now) for kind, durations in counters.durations.items()}
        times = {key: seconds * 1000 for key, seconds in found.items() if seconds is not None}
        page.table(f"kafka_request_time_{label}_milliseconds", times)
    page.table("kafka_server_connection_count", {(name,): count for name, count in counters.connections.items()})


def write_security(page: Page, counters: Counters) -> None:
    """Who came in, and who was refused."""
    page.table("kafka_server_successful_authentication_total", counters.authentications)
    page.table("kafka_server_failed_authentication_total", counters.failed_authentications)
    page.table("kafka_server_failed_tls_handshake_total", counters.failed_handshakes)
    page.table("kafka_server_authorization_denied_total", counters.denials)
    page.table("kafka_server_hung_up_total", counters.hang_ups)


def write_clients(page: Page, counters: Counters) -> None:
    """What each client moves, and where it is."""
    page.table("streampilot_client_io_bytes_total", counters.client_bytes)
    page.table("streampilot_client_cross_zone_bytes_total", counters.cross_zone_bytes)
    page.one("streampilot_near_sent_bytes_total", counters.near_bytes)
    page.table("streampilot_client_requests_total", counters.client_requests)
    page.table("streampilot_client_throttle_seconds_total", counters.client_throttles)
    page.table("streampilot_client_batches_total", counters.client_batches)
    page.table("streampilot_client_batch_bytes_total", counters.client_batch_bytes)
