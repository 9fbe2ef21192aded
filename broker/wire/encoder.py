"""Answers, from plain named fields to bytes, for any API and version that kio has a schema for.

A handler answers with `Fields`: a mapping of Kafka's field names in snake case, the same for every version. For each
schema class a plan of (name, writer, default) is compiled once; a field the version does not have is left out, one that
the handler did not give has Kafka's default. kio's own writer needs a different class per version and takes ten times
as long; kio's classes stay the only source of names, types, tags and defaults.

Durations are integers of milliseconds, error codes integers, no UUID is None or zeros. A `Packed` stands for a
structure that is encoded already: what is asked for often and changes seldom is encoded once.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
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

from broker.wire.cursor import I8, I16, I32, I64, put_count, put_string, put_uvarint

Fields = Mapping[str, Any]
"""An answer, or a structure in one: Kafka's field names in snake case."""
Writer = Callable[[bytearray, Any], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A structure in its final bytes, for one version of one API."""

    data: bytes


def encode(schema: type[Any], answer: Fields) -> bytearray:
    """The body of an answer in the version that `schema`, a kio response class, describes."""
    out = bytearray()
    struct_writer(schema)(out, answer)
    return out


_writers: dict[type[Any], Writer] = {}


def struct_writer(schema: type[Any]) -> Writer:
    """A function that appends one structure of this class to a buffer; compiled at first use."""
    if schema not in _writers:
        _writers[schema] = _compile(schema)
    return _writers[schema]


def _compile(schema: type[Any]) -> Writer:
    plan, tagged = _plan(schema)
    flexible: bool = schema.__flexible__

    def write(out: bytearray, value: Fields | Packed) -> None:
        if isinstance(value, Packed):
            out += value.data
            return
        for name, write_field, default in plan:
            write_field(out, value.get(name, default))
        if tagged:
            _put_tags(out, value, tagged)
        elif flexible:
            out.append(0)

    return write


_Plan = tuple[tuple[str, Writer, Any], ...]
_Tags = tuple[tuple[int, str, Writer], ...]


def _plan(schema: type[Any]) -> tuple[_Plan, _Tags]:
    plan: list[tuple[str, Writer, Any]] = []
    tagged: list[tuple[int, str, Writer]] = []
    for field in fields(schema):
        tag = get_field_tag(field)
        if tag is None:
            write = _field_writer(field, flexible=schema.__flexible__, optional=is_optional(field))
            plan.append((field.name, write, _default(field)))
        else:
            tagged.append((int(tag), field.name, _field_writer(field, flexible=True, optional=False)))
    return tuple(plan), tuple(sorted(tagged, key=lambda entry: entry[0]))


def _put_tags(out: bytearray, value: Fields, tagged: _Tags) -> None:
    present = [(tag, write, value[name]) for tag, name, write in tagged if value.get(name) is not None]
    put_uvarint(out, len(present))
    for tag, write, given in present:
        body = bytearray()
        write(body, given)
        put_uvarint(out, tag)
        put_uvarint(out, len(body))
        out += body


def _default(field: Field[Any]) -> Any:
    if isinstance(field.default, timedelta):
        return round(field.default.total_seconds() * 1000)
    if field.default is not MISSING:
        return field.default
    kind = classify_field(field)
    if is_optional(field):
        return None
    if kind.is_array:
        return ()
    if isinstance(kind, EntityField):
        return {}
    return _ZEROS.get(get_schema_field_type(field), 0)


_ZEROS: Mapping[str, Any] = {"string": "", "bytes": b"", "records": b"", "bool": False, "uuid": None, "float64": 0.0}


def _field_writer(field: Field[Any], *, flexible: bool, optional: bool) -> Writer:
    kind = classify_field(field)
    if isinstance(kind, EntityTupleField):
        return _array_writer(struct_writer(kind.type_), flexible=flexible)
    if isinstance(kind, PrimitiveTupleField):
        return _array_writer(_primitive_writer(get_schema_field_type(field), flexible=flexible), flexible=flexible)
    if isinstance(kind, EntityField):
        return _optional_struct(struct_writer(kind.type_)) if optional else struct_writer(kind.type_)
    return _primitive_writer(get_schema_field_type(field), flexible=flexible)


def _array_writer(write_item: Writer, *, flexible: bool) -> Writer:
    def write(out: bytearray, items: Sequence[Any] | None) -> None:
        put_count(out, -1 if items is None else len(items), flexible=flexible)
        for item in items or ():
            write_item(out, item)

    return write


def _optional_struct(write_struct: Writer) -> Writer:
    def write(out: bytearray, value: Fields | None) -> None:
        """KIP-893: a byte says whether the structure is there."""
        out += I8.pack(-1 if value is None else 1)
        if value is not None:
            write_struct(out, value)

    return write


def _number_writer(layout: struct.Struct) -> Writer:
    pack = layout.pack

    def write(out: bytearray, value: Any) -> None:
        out.extend(pack(value))

    return write


def _put_bool(out: bytearray, value: Any) -> None:
    out.append(1 if value else 0)


def _put_uuid(out: bytearray, value: uuid.UUID | None) -> None:
    out += bytes(16) if value is None else value.bytes


def _bytes_writer(*, flexible: bool) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        put_count(out, -1 if value is None else len(value), flexible=flexible)
        out.extend(value or b"")

    return write


def _string_writer(*, flexible: bool) -> Writer:
    def write(out: bytearray, value: Any) -> None:
        put_string(out, value, flexible=flexible)

    return write


_NUMBERS: Mapping[str, struct.Struct] = {
    "int8": I8,
    "int16": I16,
    "int32": I32,
    "int64": I64,
    "uint16": struct.Struct(">H"),
    "uint32": struct.Struct(">I"),
    "float64": struct.Struct(">d"),
    "error_code": I16,
    "timedelta_i32": I32,
    "timedelta_i64": I64,
    "datetime_i64": I64,
}


def _primitive_writer(kafka_type: str, *, flexible: bool) -> Writer:
    match kafka_type:
        case "bool":
            return _put_bool
        case "uuid":
            return _put_uuid
        case "string":
            return _string_writer(flexible=flexible)
        case "bytes" | "records":
            return _bytes_writer(flexible=flexible)
        case _:
            return _number_writer(_NUMBERS[kafka_type])
