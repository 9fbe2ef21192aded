"""Requests, from bytes to kio's classes, for any API and version that kio has a schema for.

kio's own decoder is faster, but it makes room for as many items as an array claims before it reads one: a frame of
twenty bytes makes it ask for gigabytes, and Rust ends the process when it gets none. This one reads through `Cursor`,
whose counts are checked first. What it returns is what kio would: its frozen dataclasses, no UUID as None, durations as
timedelta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from datetime import timedelta
from typing import Any

from kio.serial._introspect import (
    EntityField,
    EntityTupleField,
    PrimitiveTupleField,
    classify_field,
    get_field_tag,
    get_schema_field_type,
    is_optional,
)

from broker.errors import MalformedFrame
from broker.wire.cursor import Cursor

Reader = Callable[[Cursor], Any]

_readers: dict[type[Any], Reader] = {}


def struct_reader(schema: type[Any]) -> Reader:
    """A function that reads one structure of this class; compiled at first use."""
    if schema not in _readers:
        _readers[schema] = _compile(schema)
    return _readers[schema]


def _compile(schema: type[Any]) -> Reader:
    plain = tuple((each.name, _field_reader(each)) for each in fields(schema) if get_field_tag(each) is None)
    tagged = {
        int(tag): (each.name, _field_reader(each))
        for each in fields(schema)
        if (tag := get_field_tag(each)) is not None
    }
    absent = {each.name: _absent(each) for each in fields(schema) if get_field_tag(each) is not None}

    def read(cursor: Cursor) -> Any:
        values = {name: read_field(cursor) for name, read_field in plain}
        found = cursor.tags()
        if absent:
            values |= absent
            for tag in found.keys() & tagged.keys():
                name, read_field = tagged[tag]
                values[name] = read_field(cursor.inside(found[tag]))
        return schema(**values)

    return read


def _absent(field: Field[Any]) -> Any:
    """What a tagged field is when it is not there."""
    if field.default is not MISSING:
        return field.default
    return () if classify_field(field).is_array else None


def _field_reader(field: Field[Any]) -> Reader:
    kind, optional = classify_field(field), is_optional(field)
    if isinstance(kind, EntityTupleField):
        return _array_reader(struct_reader(kind.type_), item_bytes=least_bytes(kind.type_), optional=optional)
    if isinstance(kind, PrimitiveTupleField):
        kafka_type = get_schema_field_type(field)
        return _array_reader(_PRIMITIVES[kafka_type], item_bytes=_LEAST.get(kafka_type, 1), optional=optional)
    if isinstance(kind, EntityField):
        return _optional_struct(struct_reader(kind.type_)) if optional else struct_reader(kind.type_)
    kafka_type = get_schema_field_type(field)
    if optional and kafka_type in _NULLABLE:
        return _NULLABLE[kafka_type]
    return _PRIMITIVES[kafka_type]


def least_bytes(schema: type[Any]) -> int:
    """The fewest bytes a structure of this class can take, at least 1."""
    sizes = 1 if schema.__flexible__ else 0
    for each in fields(schema):
        if get_field_tag(each) is None and not classify_field(each).is_array:
            sizes += _LEAST.get(each.metadata.get("kafka_type", ""), 1)
    return max(sizes, 1)


def _array_reader(read_item: Reader, *, item_bytes: int, optional: bool) -> Reader:
    def read(cursor: Cursor) -> tuple[Any, ...] | None:
        count = cursor.nullable_count(item_bytes)
        if count is None:
            if not optional:
                raise MalformedFrame(f"null where an array must be, at byte {cursor.position}")
            return None
        return tuple([read_item(cursor) for _ in range(count)])

    return read


def _optional_struct(read_struct: Reader) -> Reader:
    def read(cursor: Cursor) -> Any:
        """KIP-893: a byte says whether the structure is there."""
        return None if cursor.int8() < 0 else read_struct(cursor)

    return read


def _uuid(cursor: Cursor) -> Any:
    value = cursor.uuid()
    return value if value.int else None


def _bytes(cursor: Cursor) -> bytes:
    value = cursor.nullable_bytes()
    if value is None:
        raise MalformedFrame(f"null where bytes must be, at byte {cursor.position}")
    return bytes(value)


def _nullable_bytes(cursor: Cursor) -> bytes | None:
    value = cursor.nullable_bytes()
    return None if value is None else bytes(value)


_PRIMITIVES: Mapping[str, Reader] = {
    "bool": lambda cursor: cursor.int8() != 0,
    "int8": Cursor.int8,
    "int16": Cursor.int16,
    "int32": Cursor.int32,
    "int64": Cursor.int64,
    "uint16": lambda cursor: cursor.int16() & 0xFFFF,
    "uint32": lambda cursor: cursor.int32() & 0xFFFFFFFF,
    "float64": Cursor.float64,
    "error_code": Cursor.int16,
    "timedelta_i32": lambda cursor: timedelta(milliseconds=cursor.int32()),
    "timedelta_i64": lambda cursor: timedelta(milliseconds=cursor.int64()),
    "datetime_i64": Cursor.int64,
    "uuid": _uuid,
    "string": Cursor.string,
    "bytes": _bytes,
    "records": _bytes,
}
_NULLABLE: Mapping[str, Reader] = {
    "string": Cursor.nullable_string,
    "bytes": _nullable_bytes,
    "records": _nullable_bytes,
}
_LEAST: Mapping[str, int] = {
    "int16": 2,
    "uint16": 2,
    "error_code": 2,
    "int32": 4,
    "uint32": 4,
    "timedelta_i32": 4,
    "int64": 8,
    "timedelta_i64": 8,
    "datetime_i64": 8,
    "float64": 8,
    "uuid": 16,
}
