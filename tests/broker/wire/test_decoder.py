"""Requests as read here, against kio's own decoder, for every API and version that is served."""

from __future__ import annotations

import dataclasses
import io
import random
import struct
import uuid
from datetime import timedelta
from typing import Any

import pytest
from kio.index import load_request_schema
from kio.serial import entity_reader, entity_writer
from kio.serial._introspect import (
    EntityField,
    EntityTupleField,
    PrimitiveTupleField,
    classify_field,
    get_schema_field_type,
    is_optional,
)

from broker.api.registry import all_apis
from broker.errors import MalformedFrame
from broker.wire.codec import decode
from broker.wire.cursor import MAX_ITEMS

VERSIONS = [(api.key, version) for api in all_apis() for version in range(api.low, api.high + 1)]


def anything(schema: Any, rng: random.Random) -> Any:
    """An instance of the class with arbitrary values, nulls where they may be."""
    return schema(**{field.name: value(field, rng) for field in dataclasses.fields(schema)})


def value(field: Any, rng: random.Random) -> Any:
    kind = classify_field(field)
    if is_optional(field) and "tag" not in field.metadata and rng.random() < 0.3:
        return None
    if isinstance(kind, EntityTupleField):
        return tuple(anything(kind.type_, rng) for _ in range(rng.randrange(3)))
    if isinstance(kind, EntityField):
        return anything(kind.type_, rng)
    if isinstance(kind, PrimitiveTupleField):
        return tuple(primitive(get_schema_field_type(field), rng) for _ in range(rng.randrange(4)))
    return primitive(get_schema_field_type(field), rng)


def primitive(kafka_type: str, rng: random.Random) -> Any:
    match kafka_type:
        case "string":
            return rng.choice(["", "t", "täglich", "x" * 200])
        case "bytes" | "records":
            return rng.randbytes(rng.randrange(300))
        case "bool":
            return rng.random() < 0.5
        case "uuid":
            return rng.choice([None, uuid.UUID(int=rng.getrandbits(128))])
        case "timedelta_i32" | "timedelta_i64":
            return timedelta(milliseconds=rng.randrange(-1, 10**6))
        case "float64":
            return rng.choice([0.0, -1.5, 1e300, rng.random()])
        case _:
            bits = int(kafka_type.lstrip("uint"))
            return rng.choice([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))])


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_reads_what_kio_reads(key: int, version: int) -> None:
    schema: Any = load_request_schema(key, version)
    rng = random.Random(key * 100 + version)
    for _ in range(20):
        out = io.BytesIO()
        entity_writer(schema)(out, anything(schema, rng))
        data = out.getvalue()
        assert decode(key, version, memoryview(data), 0) == entity_reader(schema)(data, 0)[0]


@pytest.mark.parametrize(("key", "version"), VERSIONS)
def test_a_request_cut_short_anywhere_is_malformed(key: int, version: int) -> None:
    schema: Any = load_request_schema(key, version)
    out = io.BytesIO()
    entity_writer(schema)(out, anything(schema, random.Random(version)))
    data = out.getvalue()
    for size in range(len(data)):
        with pytest.raises(MalformedFrame):
            decode(key, version, memoryview(data)[:size], 0)


def test_a_few_bytes_that_claim_billions_of_topics_cost_nothing() -> None:
    """kio's decoder makes room for them first, which ends the process."""
    with pytest.raises(MalformedFrame, match="array of 2147483647"):
        decode(3, 1, memoryview(struct.pack(">i", 2**31 - 1)), 0)


def test_a_request_of_more_items_than_anybody_needs_is_refused() -> None:
    with pytest.raises(MalformedFrame, match="more than"):
        decode(3, 0, memoryview(struct.pack(">i", MAX_ITEMS + 1) + bytes(2 * MAX_ITEMS + 2)), 0)
