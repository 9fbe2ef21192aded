"""Every metric of the broker, once: its kind, its labels, and its help. `docs/metrics.md` is made from this.

A page refuses a metric that is not listed here, so what the code shows, the docs have. Where AutoMQ or Kafka has a name
for a figure, that is its name. Only bytes in and out, log start and end, and log size carry `partition` (law 15).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One metric."""

    kind: str
    """counter, gauge or histogram"""
    help: str
    labels: tuple[str, ...] = ()
    """The labels of a counter that is written from a table, in the order of its keys."""


def _gauge(text: str, *labels: str) -> Family:
    return Family(kind="gauge", help=text, labels=labels)


def _counter(text: str, *labels: str) -> Family:
    return Family(kind="counter", help=text, labels=labels)


def _histogram(text: str, *labels: str) -> Family:
    return Family(kind="histogram", help=text, labels=labels)


_BROKER = {
    "streampilot_broker_info": _gauge(
        "Who this is; always 1.", "broker_id", "cluster_id", "cluster", "zone", "version", "spot", "host"
    ),
    "process_cpu_seconds_total": _counter("CPU time, user and system."),
    "process_resident_memory_bytes": _gauge("Memory in RAM."),
    "process_start_time_seconds": _gauge("When the process started, Unix time."),
    "streampilot_broker_registered_timestamp_seconds": _gauge("When this broker joined the cluster, Unix time."),
    "streampilot_broker_cordoned": _gauge("1 while this broker gets no new partitions."),
    "kafka_stream_spot_notice_timestamp_seconds": _gauge(
        "Since when this machine is known to be taken away (interruption), or is likelier to be (rebalance), Unix time;"
        " no series while nobody says so.",
        *("kind", "source", "detail"),
    ),
    "kafka_stream_spot_notice_deadline_timestamp_seconds": _gauge(
        "By when it may be gone, Unix time; no series where that is not said.", "kind", "source", "detail"
    ),
    "kafka_stream_spot_look_count_total": _counter(
        "Looks for such a notice (--spot-notices), by whether the service answered: ok, error.", "outcome"
    ),
    "streampilot_event_loop_max_step_seconds": _gauge(
        "Longest step of the event loop in the last one to two minutes; waiting for a core is left out."
    ),
    "streampilot_event_loop_max_lag_seconds": _gauge(
        "Longest delay of the event loop in the last one to two minutes, whoever caused it."
    ),
}
_CLUSTER = {
    "kafka_controller_active_count": _gauge("1 on the controller."),
    "kafka_broker_active_count": _gauge("Live brokers."),
    "streampilot_registered_broker": _gauge("1 alive, 0 missed; one that signed off is not listed.", "broker_id"),
    "kafka_partition_count": _gauge("Partitions this broker owns, internal ones left out."),
    "kafka_topic_count": _gauge("Topics, internal ones left out."),
    "kafka_offline_partition_count": _gauge("Partitions nobody alive owns."),
}
_PARTITIONS = {
    "kafka_network_io_bytes_total": _counter(
        "Record bytes by partition, from its owner.", "topic", "partition", "direction"
    ),
    "kafka_log_start_offset": _gauge("First offset.", "topic", "partition"),
    "kafka_log_end_offset": _gauge("Next offset.", "topic", "partition"),
    "kafka_log_size": _gauge("Bytes in the log.", "topic", "partition"),
    "kafka_broker_network_io_bytes_total": _counter("Record bytes through this broker.", "direction"),
    "kafka_message_count_total": _counter("Records produced.", "topic"),
}
_REQUESTS = {
    "kafka_request_count_total": _counter("Requests answered.", "type", "version"),
    "kafka_request_error_count_total": _counter("Requests with an error.", "type", "error"),
    "kafka_request_time_50p_milliseconds": _gauge("Median time to answer, over the last one to two minutes.", "type"),
    "kafka_request_time_99p_milliseconds": _gauge(
        "99th percentile of the time to answer, over the last one to two minutes.", "type"
    ),
    "kafka_server_connection_count": _gauge("Open client connections.", "listener"),
}
_SECURITY = {
    "kafka_server_successful_authentication_total": _counter(
        "Clients that said who they are, renewed sessions included; mechanism SSL: by their certificate.",
        *("listener", "mechanism"),
    ),
    "kafka_server_failed_authentication_total": _counter(
        "Clients whose word was wrong, or that asked for a mechanism that is not enabled (unknown).",
        *("listener", "mechanism"),
    ),
    "kafka_server_failed_tls_handshake_total": _counter(
        "TLS handshakes that failed: no certificate or one of a stranger, no version or cipher in common, no TLS at"
        " all, or a client that does not trust this broker and says so. Who goes away in silence is in no count.",
        "listener",
    ),
    "kafka_server_authorization_denied_total": _counter(
        "Requests of which something was refused for want of a right.", "type"
    ),
    "kafka_server_hung_up_total": _counter(
        "Clients hung up on: over max.connections or max.connections.per.ip (limit), with a session not renewed in"
        " time (expired), asking before they had said who they are (unknown), or not saying it for 30 s (silent).",
        *("listener", "reason"),
    ),
}
_CLIENTS = {
    "streampilot_client_io_bytes_total": _counter(
        "Record bytes by client; client_zone is empty where it is unknown.",
        *("client_id", "direction", "client_zone", "software"),
    ),
    "streampilot_client_cross_zone_bytes_total": _counter(
        "Record bytes between this broker's zone and another; no series where the client's zone is unknown.",
        *("client_id", "direction"),
    ),
    "streampilot_client_requests_total": _counter("Produce and Fetch requests by client.", "client_id", "direction"),
    "streampilot_near_sent_bytes_total": _counter(
        "Record bytes sent to brokers of other zones, once for all readers there (KIP-392)."
    ),
    "streampilot_client_telemetry": _gauge(
        "What clients report of themselves (KIP-714), by the metric's name without org.apache.kafka.; instances of one"
        " client id add up in totals, else the largest is shown.",
        *("client_id", "software", "version", "client_zone", "metric"),
    ),
    "streampilot_client_telemetry_instances": _gauge("Client instances that report their own metrics here."),
    "streampilot_client_telemetry_pushes_total": _counter("What clients pushed, taken or refused.", "outcome"),
    "streampilot_client_throttle_seconds_total": _counter(
        "Time that clients were told to wait because of a quota, by its key.", "client_id", "quota"
    ),
    "streampilot_client_batches_total": _counter("Record batches by client and codec.", "client_id", "codec"),
    "streampilot_client_batch_bytes_total": _counter(
        "Bytes of record batches by client and codec.", "client_id", "codec"
    ),
}
_WAL = {
    "kafka_stream_wal_pending_upload_bytes": _gauge("Durable in the WAL, not in objects yet."),
    "kafka_stream_wal_oldest_pending_seconds": _gauge("Age of the oldest of them."),
    "kafka_stream_wal_used_bytes": _gauge("Written to the WAL, or queued for it, and not trimmed."),
    "streampilot_wal_capacity_bytes": _gauge("Room of the WAL."),
    "streampilot_wal_errors_total": _counter("Writes or syncs of the WAL that failed; the first one ends the broker."),
    "kafka_stream_producers_held": _gauge("1 while producers' sockets are not read, because uploads are behind."),
    "kafka_stream_producer_holds_total": _counter("How often that began."),
}
_OPERATIONS = {
    "kafka_stream_operation_latency_seconds": _histogram(
        "Time of WAL groups (append_wal), uploads, reads from objects (get), compactions, moves, drains and failovers.",
        *("operation_type", "status"),
    ),
    "kafka_stream_upload_size_bytes": _histogram("Size of uploaded objects."),
    "kafka_stream_upload_count_total": _counter("Uploads of one object.", "status"),
    "kafka_stream_move_count_total": _counter("Partitions handed to another broker."),
    "kafka_stream_drain_count_total": _counter("Times this broker gave everything away."),
    "kafka_stream_failover_count_total": _counter("Dead brokers this one recovered."),
    "kafka_stream_recovery_running_count": _gauge("Recoveries this broker is at work on."),
    "kafka_stream_unreachable_wal_partition_count": _gauge(
        "Offline partitions whose dead owner's WAL this broker should replay and cannot reach."
    ),
}
_CACHES = {
    "kafka_stream_cache_hits_total": _counter("Reads that the cache answered.", "cache"),
    "kafka_stream_cache_misses_total": _counter("Reads that it did not.", "cache"),
    "kafka_stream_cache_shared_total": _counter("Misses that waited for a GET under way.", "cache"),
    "kafka_stream_cache_prefetches_total": _counter("GETs ahead of a reader.", "cache"),
    "kafka_stream_cache_wasted_total": _counter("Blocks fetched ahead and dropped unread.", "cache"),
    "kafka_stream_cache_bytes": _gauge("Held: the newest records (tail), blocks and indexes of objects.", "cache"),
    "kafka_stream_cache_limit_bytes": _gauge("The cache's bound.", "cache"),
}
_COMPACTION = {
    "kafka_stream_compaction_count_total": _counter("Compactions of objects.", "status"),
    "kafka_stream_compaction_bytes_total": _counter("Bytes that compaction read (in) and wrote (out).", "direction"),
    "kafka_stream_compacted_object_count_total": _counter("Objects whose place others took."),
    "kafka_stream_missing_object_count": _gauge("Objects that ranges point at and that are gone or damaged."),
    "kafka_stream_cleaning_count_total": _counter("Logs of cleanup.policy=compact cleaned.", "status"),
    "kafka_stream_cleaning_seconds_total": _counter("Time that took."),
    "kafka_stream_cleaned_record_count_total": _counter("Records that cleaning removed."),
    "kafka_stream_unopened_batch_count_total": _counter("Batches that decompress to too much, or not at all."),
    "kafka_stream_dirtiest_ratio": _gauge("Of the logs of cleanup.policy=compact here, at the last look."),
}
_STORE = {
    "streampilot_object_store_requests_total": _counter(
        "Requests to the object store, retries included.", "operation", "status"
    ),
    "streampilot_object_store_bytes_total": _counter(
        "Bytes to (out) and from (in) the object store.", "operation", "direction"
    ),
    "kafka_stream_limiter_waiting_count": _gauge("Requests that wait for bandwidth.", "class"),
    "kafka_stream_limiter_bytes_total": _counter("Bytes let through.", "class"),
    "kafka_stream_object_count": _gauge("Live objects of the cluster; from the controller only, like the next five."),
    "kafka_stream_object_bytes": _gauge("Their bytes."),
    "kafka_stream_prepared_object_count": _gauge("Objects whose upload is under way, or was given up."),
    "kafka_stream_marked_object_count": _gauge("Objects that nothing points at, kept for readers that still do."),
    "kafka_stream_marked_object_bytes": _gauge("Their bytes, which are paid for until they are swept."),
    "kafka_stream_swept_object_count_total": _counter("Objects deleted."),
    "kafka_stream_unknown_object_count_total": _counter("Objects deleted because no row knew them."),
    "streampilot_metadata_snapshot_timestamp_seconds": _gauge(
        "When this broker last put a copy of the metadata into the bucket, Unix time."
    ),
    "streampilot_metadata_snapshot_bytes": _gauge("Its size."),
}
SECTIONS: Mapping[str, Mapping[str, Family]] = {
    "The broker": _BROKER,
    "The cluster, as this broker sees it": _CLUSTER,
    "Partitions": _PARTITIONS,
    "Requests": _REQUESTS,
    "Who comes, and who is refused": _SECURITY,
    "Clients": _CLIENTS,
    "The write-ahead log": _WAL,
    "Operations": _OPERATIONS,
    "Caches": _CACHES,
    "Compaction": _COMPACTION,
    "The object store": _STORE,
}
FAMILIES: Mapping[str, Family] = {name: family for part in SECTIONS.values() for name, family in part.items()}
