"""GetTelemetrySubscriptions (71), version 0: which of its own metrics a client shall report, and how often (KIP-714).

Clients are asked for what the CLIENT_METRICS resources say that fit them (`kafka-client-metrics.sh`), as totals since
their start, no deltas. Producers and consumers of Kafka 3.7, librdkafka 2.5 and newer answer without any change to the
applications they are part of.
Deviation: whom none fits is asked for all metrics below `org.apache.kafka.`, every `telemetry.push.interval.ms` of the
broker; 0 there asks for none, which is what Kafka does.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.security.access import ANY_RIGHT, check_any_right
from broker.telemetry.otlp import MAX_BYTES
from broker.wire.encoder import Fields

_COMPRESSIONS = (4, 3, 1, 2)
"""zstd, lz4, gzip, snappy: what is preferred first."""
_ASK_AGAIN_MS = 300_000
"""When nothing is asked for."""


@register(key=71, name="GetTelemetrySubscriptions", versions=(0, 0), needs=(ANY_RIGHT,))
async def get_telemetry_subscriptions(context: Context, request: Any, version: int) -> Fields:
    """Who has no id yet is given one."""
    try:
        check_any_right(context.access)
    except KafkaError as error:
        return {"error_code": error.code}
    telemetry, client = context.telemetry, context.connection
    given = request.client_instance_id or UUID(int=0)
    instance_id, wanted = telemetry.subscribe(given, client, client.software_version)
    return {
        "client_instance_id": instance_id,
        "subscription_id": wanted.id,
        "accepted_compression_types": _COMPRESSIONS,
        "push_interval": round(wanted.interval_s * 1000) if wanted.metrics else _ASK_AGAIN_MS,
        "telemetry_max_bytes": MAX_BYTES,
        "delta_temporality": False,
        "requested_metrics": wanted.metrics,
    }
