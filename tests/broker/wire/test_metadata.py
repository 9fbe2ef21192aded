"""Topics packed by hand are the bytes that the schema gives."""

from __future__ import annotations

from uuid import UUID

import pytest

from broker.wire.codec import encode_answer
from broker.wire.encoder import Packed
from broker.wire.metadata import TopicRow, partitions, topic_head, topic_tail

TOPIC = UUID("6b1f7a5e-2c61-4c4b-9d0c-0d6f6d3c5a11")
ROWS = [
    (0, 0, 2, 7, (2, 0, 1), (2, 1), ()),
    (5, 1, -1, 0, (300,), (), (300,)),
    (0, 2, 0, 1 << 20, tuple(range(200)), tuple(range(200)), ()),
]


@pytest.mark.parametrize("version", range(14))
@pytest.mark.parametrize("rows", [ROWS, []], ids=["three partitions", "none"])
def test_a_hand_packed_topic_is_what_the_schema_says(version: int, rows: list[object]) -> None:
    row = TopicRow(name="orders.eu", topic_id=TOPIC, internal=False, partitions=len(rows), rights=0x0DF8)
    packed = topic_head(version, row) + partitions(version, rows) + topic_tail(version, row)
    fields = {
        "name": "orders.eu",
        "topic_id": TOPIC,
        "is_internal": False,
        "partitions": [
            {
                "error_code": error,
                "partition_index": index,
                "leader_id": leader,
                "leader_epoch": epoch,
                "replica_nodes": replicas,
                "isr_nodes": isr,
                "offline_replicas": offline,
            }
            for error, index, leader, epoch, replicas, isr, offline in rows
        ],
        "topic_authorized_operations": 0x0DF8,
    }
    by_hand = encode_answer(3, version, {"topics": [Packed(data=packed)]})
    assert by_hand == encode_answer(3, version, {"topics": [fields]})
