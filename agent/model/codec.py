"""Shapes to JSON and back: RFC 3339 with `Z`, tuples as lists, unknown keys refused."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Shape = TypeVar("Shape")


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def to_json(value: Any) -> Any:
    """A shape, or a list of shapes, as plain JSON values."""
    return [_dump(item) for item in value] if isinstance(value, list | tuple) else _dump(value)


def _dump(value: Any) -> Any:
    return _adapter(type(value)).dump_python(value, mode="json")


def from_json(shape: type[Shape], data: Any) -> Shape:
    """The shape that `to_json` made; ValueError names the field that does not fit."""
    value: Shape = _adapter(shape).validate_python(data)
    return value


def timestamp(at: datetime) -> str:
    """`2026-11-22T16:03:00.123Z`: how times are written in JSON and on stdout."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
