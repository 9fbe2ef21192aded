"""The broker's counters, as the bill reads them."""

from __future__ import annotations

from broker.bill.usage import Reading
from broker.log import Logs
from broker.objects import ObjectStore
from broker.telemetry.counters import Counters

_TIER1 = ("put", "copy", "list", "multipart")
_TIER2 = ("get", "head")


def read_counters(store: ObjectStore, logs: Logs, counters: Counters) -> Reading:
    """As of now. What is stored is the controller's to count, so that it is billed once."""
    requests, stats = store.meter.requests, logs.stats
    return Reading(
        tier1_requests=sum(count for (operation, _), count in requests.items() if operation in _TIER1),
        tier2_requests=sum(count for (operation, _), count in requests.items() if operation in _TIER2),
        cross_zone_bytes=sum(counters.cross_zone_bytes.values()) + counters.near_bytes,
        stored_bytes=stats.live_object_bytes + stats.marked_object_bytes if logs.is_controller else 0,
    )
