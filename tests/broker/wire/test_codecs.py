"""The hand-packed codecs and the encoder, checked against kio's own, for every version."""

from __future__ import annotations

import dataclasses
import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from broker.api.registry import all_apis
from broker.errors import MalformedFrame
from broker.wire.codec import decode
from broker.wire.cursor import Cursor
from broker.wire.encoder import encode
from broker.wire.fetch import FetchAnswer, FetchedPartition, decode_fetch, encode_fetch
from broker.wire.produce import NodeEndpoint, ProduceAnswer, ProducedPartition, decode_produce, encode_produce

TOPIC_ID = uuid.UUID(int=0x1234)
ENDPOINT = NodeEndpoint(broker_id=4, host="broker-4", port=9092, rack=None)


def nested(entity: type[Any], name: str) -> type[Any]:
    """The class of the items of an array field."""
    (field,) = (field for field in dataclasses.fields(entity) if field.name == name)
    return field.type.__args__[0]


def build(entity: type[Any], **values: Any) -> Any:
    """An instance with those of the values that this version has."""
    names = {field.name for field in dataclasses.fields(entity)}
    return entity(**{name: value for name, value in values.items() if name in names})


def written(entity: Any) -> memoryview:
    out = io.BytesIO()
    entity_writer(type(entity))(out, entity)
    return memoryview(bytearray(out.getvalue()))


@pytest.mark.parametrize("version", range(3, 14))
def test_reads_produce_as_kio_writes_it(version: int) -> None:
    schema: type[Any] = load_request_schema(0, version)
    topic = nested(schema, "topic_data")
    partition = build(nested(topic, "partition_data"), index=2, records=b"records")
    topics = (build(topic, name="t", topic_id=TOPIC_ID, partition_data=(partition,)),)
    request = build(schema, transactional_id=None, acks=-1, timeout=timedelta(milliseconds=1500), topic_data=topics)
    found = decode_produce(version, written(request), 0)
    assert (found.acks, found.transactional_id) == (-1, None)
    assert found.topics[0].topic == (TOPIC_ID if version >= 13 else "t")
    assert bytes(found.topics[0].partitions[0].records or b"") == b"records"


@pytest.mark.parametrize("version", range(3, 14))
def test_writes_produce_answers_as_kio_reads_them(version: int) -> None:
    part = ProducedPartition(index=3, error_code=6, base_offset=9, log_start=1, leader=4, leader_epoch=8)
    topic = TOPIC_ID if version >= 13 else "t"
    answer = ProduceAnswer(topics=((topic, (part,)),), endpoints=(ENDPOINT,), throttle_ms=5)
    data = b"".join(encode_produce(version, answer))
    found, size = entity_reader(load_response_schema(0, version))(data, 0)
    assert size == len(data)
    read = found.responses[0].partition_responses[0]
    assert (read.index, int(read.error_code), read.base_offset) == (3, 6, 9)
    if version >= 10:
        assert (read.current_leader.leader_id, read.current_leader.leader_epoch) == (4, 8)
        assert found.node_endpoints[0].host == "broker-4"


@pytest.mark.parametrize("version", range(4, 18))
def test_reads_fetch_as_kio_writes_it(version: int) -> None:
    schema: type[Any] = load_request_schema(1, version)
    topic = nested(schema, "topics")
    values = {"partition": 1, "fetch_offset": 77, "partition_max_bytes": 1000, "current_leader_epoch": 3}
    part = build(nested(topic, "partitions"), **values, last_fetched_epoch=-1, log_start_offset=-1)
    topics = (build(topic, topic="t", topic_id=TOPIC_ID, partitions=(part,)),)
    dropped = nested(schema, "forgotten_topics_data") if version >= 7 else None
    forgotten = (build(dropped, topic="t", topic_id=TOPIC_ID, partitions=(4, 5)),) if dropped else ()
    request = build(
        schema,
        replica_id=-1,
        max_wait=timedelta(milliseconds=1500),
        min_bytes=1,
        max_bytes=5000,
        isolation_level=1,
        session_id=0,
        session_epoch=-1,
        topics=topics,
        forgotten_topics_data=forgotten,
        rack_id="z1",
    )
    found = decode_fetch(version, written(request), 0)
    assert found.forgotten == (((TOPIC_ID if version >= 13 else "t", (4, 5)),) if forgotten else ())
    assert (found.max_wait_ms, found.min_bytes, found.max_bytes) == (1500, 1, 5000)
    assert found.rack == ("z1" if version >= 11 else "")
    asked = found.topics[0].partitions[0]
    assert (asked.index, asked.offset, asked.max_bytes) == (1, 77, 1000)
    assert asked.leader_epoch == (3 if version >= 9 else -1)


@pytest.mark.parametrize("version", range(4, 18))
def test_writes_fetch_answers_as_kio_reads_them(version: int) -> None:
    parts = (
        FetchedPartition(index=0, high_watermark=9, last_stable=9, log_start=0, records=(b"abc", memoryview(b"def"))),
        FetchedPartition(index=1, error_code=6, leader=4, leader_epoch=2),
        FetchedPartition(index=2, preferred_replica=7),
    )
    topic = TOPIC_ID if version >= 13 else "t"
    data = b"".join(encode_fetch(version, FetchAnswer(topics=((topic, parts),), endpoints=(ENDPOINT,), session_id=5)))
    found, size = entity_reader(load_response_schema(1, version))(data, 0)
    assert size == len(data)
    first, second, third = found.responses[0].partitions
    assert version < 7 or found.session_id == 5
    assert version < 11 or (third.preferred_read_replica, first.preferred_read_replica) == (7, -1)
    assert (first.high_watermark, bytes(first.records)) == (9, b"abcdef")
    assert int(second.error_code) == 6
    if version >= 12:
        assert second.current_leader.leader_id == 4


def every_version() -> list[tuple[int, int]]:
    return [(api.key, version) for api in all_apis() for version in range(api.low, api.high + 1)]


@pytest.mark.parametrize(("key", "version"), every_version())
def test_an_answer_of_defaults_can_be_read_back(key: int, version: int) -> None:
    schema = load_response_schema(key, version)
    data = bytes(encode(schema, {}))
    _, size = entity_reader(schema)(data, 0)
    assert size == len(data)


@pytest.mark.parametrize(("key", "version"), every_version())
def test_garbage_is_malformed_and_nothing_else(key: int, version: int) -> None:
    """Truncation, and lengths and counts of all ones: never another exception, never a large allocation."""
    (api,) = (api for api in all_apis() if api.key == key)
    for garbage in (b"", b"\x00", b"\xff" * 40, b"\x7f" * 40, b"\x80" * 40, b"\x7f\xff\xff\xff" * 10):
        try:
            request = api.decode(version, memoryview(bytearray(garbage)), 0)
        except MalformedFrame as refused:
            assert str(refused)
        else:
            assert request is not None, (api.name, version, garbage)


def test_a_count_that_cannot_be_there_is_refused_before_anything_is_made() -> None:
    with pytest.raises(MalformedFrame, match="array"):
        Cursor(memoryview(b"\x7f\xff\xff\xff")).count(5)


def test_a_decoded_request_never_ends_past_its_frame() -> None:
    with pytest.raises(MalformedFrame):
        decode(19, 7, memoryview(b"\x05\x03abc"), 0)
