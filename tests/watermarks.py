"""The first and the next offset of a partition, by a real client, though nobody may lead it just now."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

NO_LEADER = {KafkaError._UNKNOWN_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION}
"""librdkafka says the first at once, whatever the timeout, when the metadata it has names no leader."""


def watermarks(consumer: Consumer, topic: str, partition: int, *, timeout_s: float = 30) -> tuple[int, int]:
    """(low, high); KafkaException when it could not be had in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            left_s = max(0.1, deadline - time.monotonic())
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=left_s)
            return low, high
        except KafkaException as refusal:
            if refusal.args[0].code() not in NO_LEADER or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
