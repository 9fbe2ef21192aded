"""DescribeLogDirs (35), versions 1 to 5: how many bytes of which partition are where, told by the partition's owner.

A broker has two "directories": its WAL, with what waits for its upload, and the object store, with what is committed.
Their names are their URLs. The sum of both is the partition's size. Nothing moves between them on a client's wish, so
no partition is ever marked as a future one, and none lags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.errors import KafkaError
from broker.metadata.urls import shown
from broker.security.access import CLUSTER_NAME, Need, Operation, ResourceType
from broker.turns import EVERY
from broker.wire.encoder import Fields


@register(
    key=35,
    name="DescribeLogDirs",
    versions=(1, 5),
    needs=(Need(operation=Operation.DESCRIBE, resource=ResourceType.CLUSTER),),
)
async def describe_log_dirs(context: Context, request: Any, version: int) -> Fields:
    """Everything this broker owns, or those of the asked partitions that it does."""
    try:
        context.access.check(Operation.DESCRIBE, ResourceType.CLUSTER, CLUSTER_NAME)
    except KafkaError as error:
        return {"error_code": error.code, "results": ()}
    logs, owned = context.logs, _owned(context, request.topics)
    wal = {
        "log_dir": shown(logs.wal_url),
        "topics": await _topics(context, owned, lambda log: int(log.pending_bytes)),
        "total_bytes": logs.wal_capacity_bytes,
        "usable_bytes": max(logs.wal_capacity_bytes - logs.wal_used_bytes, 0),
    }
    objects = {
        "log_dir": shown(logs.objects_url),
        "topics": await _topics(context, owned, lambda log: int(log.committed_bytes)),
    }
    return {"results": [wal, objects]}


def _owned(context: Context, asked: Iterable[Any] | None) -> list[Any]:
    if asked is None:
        return list(context.logs)
    wanted = {(each.topic, index) for each in asked for index in each.partitions}
    return [log for log in context.logs if (log.topic, log.index) in wanted]


async def _topics(context: Context, owned: Iterable[Any], size_of: Callable[[Any], int]) -> list[Fields]:
    found: dict[str, list[Fields]] = {}
    for number, log in enumerate(owned, 1):
        part = {"partition_index": log.index, "partition_size": size_of(log), "offset_lag": 0, "is_future_key": False}
        found.setdefault(log.topic, []).append(part)
        if number % EVERY == 0:
            await context.turns.rest()
    return [{"name": name, "partitions": partitions} for name, partitions in sorted(found.items())]
