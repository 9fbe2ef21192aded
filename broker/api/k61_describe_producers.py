"""DescribeProducers (61), version 0: who has written to a partition idempotently, and since where whose transaction is
open. It is how hanging transactions are found. A replica that does not lead asks the leader, within three seconds.
"""

from __future__ import annotations

from typing import Any

from broker.api.context import Context
from broker.api.registry import register
from broker.api.topics import allowed_topic
from broker.errors import KafkaError, NotLeaderOrFollower
from broker.log.ownership import not_leader
from broker.log.producers import ProducerView
from broker.metadata.image import Partition
from broker.security.access import Need, Operation, ResourceType
from broker.wire.encoder import Fields


def _failed(request: Any, _version: int, code: int) -> Fields:
    topics = []
    for topic in request.topics:
        partitions = [{"partition_index": index, "error_code": code} for index in topic.partition_indexes]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


@register(
    key=61,
    name="DescribeProducers",
    versions=(0, 0),
    failed=_failed,
    needs=(Need(operation=Operation.READ, resource=ResourceType.TOPIC),),
)
async def describe_producers(context: Context, request: Any, version: int) -> Fields:
    """Each partition by itself; those of which this broker is another replica are asked of their leaders together."""
    here = {(topic.name, index): _here(context, topic.name, index) for topic in request.topics
            for index in topic.partition_indexes}  # fmt: skip
    away = [found for found in here.values() if isinstance(found, Partition)]
    told = await context.writers.elsewhere(away) if away else {}
    topics = []
    for topic in request.topics:
        partitions = [_answer(index, here[topic.name, index], told) for index in topic.partition_indexes]
        topics.append({"name": topic.name, "partitions": partitions})
    return {"topics": topics}


def _here(context: Context, name: str, index: int) -> list[ProducerView] | Partition | KafkaError:
    """Who writes to it; the partition, when another broker leads it that can be asked; or why neither."""
    try:
        topic = allowed_topic(context, context.metadata.image, name, Operation.READ)
        return list(context.logs.get(name, index).producers.views())
    except NotLeaderOrFollower as error:
        partition: Partition = topic.partitions[index]
        return partition if context.config.broker_id in partition.replicas else error
    except KafkaError as error:
        return error


def _answer(
    index: int, found: list[ProducerView] | Partition | KafkaError, told: dict[int, list[ProducerView]]
) -> Fields:
    if isinstance(found, Partition):
        found = told[found.uid] if found.uid in told else not_leader(found)
    if isinstance(found, KafkaError):
        return {"partition_index": index, "error_code": found.code, "error_message": found.message}
    return {"partition_index": index, "active_producers": [_producer(view) for view in found]}


def _producer(view: ProducerView) -> Fields:
    return {
        "producer_id": view.producer_id,
        "producer_epoch": view.epoch,
        "last_sequence": view.last_sequence,
        "last_timestamp": view.last_ms,
        "coordinator_epoch": view.coordinator_epoch,
        "current_txn_start_offset": view.open_since,
    }
