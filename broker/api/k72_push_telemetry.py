"""PushTelemetry (72), version 0: a client's own metrics (KIP-714), which `/metrics` shows with its id and zone.

The payload is OTLP, read under caps: 256 KiB as sent, 2 MiB decompressed, 300 metrics of a client. A push that comes
too early is THROTTLING_QUOTA_EXCEEDED, one that cannot be read INVALID_RECORD.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import NONE, KafkaError
from broker.security.access import ANY_RIGHT, check_any_right
from broker.wire.encoder import Fields


@register(key=72, name="PushTelemetry", versions=(0, 0), needs=(ANY_RIGHT,))
async def push_telemetry(context: Context, request: Any, version: int) -> Fields:
    """Taken or refused as a whole."""
    client = context.connection
    try:
        check_any_right(context.access)
        await context.telemetry.push(
            request.client_instance_id or UUID(int=0),
            client,
            client.software_version,
            subscription=request.subscription_id,
            terminating=request.terminating,
            codec=request.compression_type,
            data=request.metrics,
        )
    except KafkaError as error:
        return {"error_code": error.code}
    return {"error_code": NONE}
