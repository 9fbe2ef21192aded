"""Looking: the cluster, its brokers and partitions, and what this broker's storage is doing."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Any

from broker.admin.routes import Answer, Asked, Broker, Field, Route
from broker.metadata.image import Broker as Member
from broker.metadata.image import Image, Partition

MAX_ROWS = 10_000


def _partitions(image: Image) -> list[Partition]:
    return [partition for topic in image.topics.values() for partition in topic.partitions]


async def describe_cluster(broker: Broker, asked: Asked) -> Answer:
    image = await broker.metadata.refresh()
    alive = {each.id for each in image.alive()}
    partitions = _partitions(image)
    return HTTPStatus.OK, {
        "cluster_id": image.cluster_id,
        "controller": image.controller,
        "asked_broker": broker.id,
        "brokers_alive": sorted(alive),
        "topics": len(image.topics),
        "partitions": len(partitions),
        "partitions_moving": sum(each.target is not None for each in partitions),
        "partitions_offline": sum(each.owner not in alive for each in partitions),
        "recoveries": [
            {"broker": each.broker, "recoverer": each.recoverer, "epoch": each.epoch}
            for each in image.recoveries.values()
        ],
    }


async def list_brokers(broker: Broker, asked: Asked) -> Answer:
    image = await broker.metadata.refresh()
    owned = Counter(each.owner for each in _partitions(image))
    return HTTPStatus.OK, {"brokers": [member(each, owned[each.id]) for _, each in sorted(image.brokers.items())]}


def member(broker: Member, owned: int) -> dict[str, Any]:
    return {
        "id": broker.id,
        "alive": broker.alive,
        "departed": broker.departed,
        "cordoned": broker.cordoned,
        "spot": broker.spot,
        "zone": broker.zone,
        "version": broker.version,
        "http": broker.http,
        "wal_url": broker.wal_url,
        "registered_at_ms": broker.registered_at_ms,
        "partitions_owned": owned,
    }


async def list_partitions(broker: Broker, asked: Asked) -> Answer:
    image = await broker.metadata.refresh()
    owner, topic = asked.values.get("broker"), asked.values.get("topic")
    found = [
        each
        for each in _partitions(image)
        if (owner is None or each.owner == owner) and (topic is None or each.topic == topic)
    ]
    shown = found[: asked.values.get("limit", MAX_ROWS)]
    return HTTPStatus.OK, {"total": len(found), "partitions": [_partition(each) for each in shown]}


def _partition(each: Partition) -> dict[str, Any]:
    return {
        "topic": each.topic,
        "partition": each.index,
        "owner": each.owner,
        "epoch": each.epoch,
        "replicas": each.replicas,
        "isr": each.isr,
        "target": each.target,
    }


async def describe_storage(broker: Broker, asked: Asked) -> Answer:
    logs = broker.logs
    stats = logs.stats
    return HTTPStatus.OK, {
        "broker": broker.id,
        "partitions_open": len(logs),
        "wal_capacity_bytes": stats.wal_capacity_bytes,
        "pending_upload_bytes": logs.pending_upload_bytes,
        "oldest_pending_s": round(logs.oldest_pending_s, 3),
        "uploads": stats.uploads,
        "upload_failures": stats.upload_failures,
        "moves": stats.moves,
        "failovers": stats.failovers,
        "objects": {"live": stats.live_objects, "live_bytes": stats.live_object_bytes} if logs.is_controller else None,
    }


ROUTES = (
    Route(
        method="GET",
        path="/admin/v1/cluster",
        summary="The cluster at a glance: who is alive, what moves, what has no owner, recoveries under way.",
        answer=describe_cluster,
    ),
    Route(method="GET", path="/admin/v1/brokers", summary="Every broker that ever registered.", answer=list_brokers),
    Route(
        method="GET",
        path="/admin/v1/partitions",
        summary="Partitions with owner, replicas and the target of a move under way.",
        answer=list_partitions,
        query={
            "broker": Field(kind="integer", about="only what this broker owns; -1: what nobody owns"),
            "topic": Field(kind="string", about="only of this topic"),
            "limit": Field(kind="integer", about="rows at most", least=1, most=MAX_ROWS),
        },
    ),
    Route(
        method="GET",
        path="/admin/v1/storage",
        summary="This broker's WAL and uploads; live objects where it is the controller.",
        answer=describe_storage,
    ),
)
