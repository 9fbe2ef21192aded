"""Shapes to JSON and back: RFC 3339 with `Z`, tuples as lists, unknown keys refused."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter

Shape = TypeVar("Shape")
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""Building one costs milliseconds, using it microseconds."""


def _adapter(shape: Any) -> TypeAdapter[Any]:
    if shape not in _ADAPTERS:
        _ADAPTERS[shape] = TypeAdapter(shape)
    return _ADAPTERS[shape]


def to_json(value: Any) -> Any:
    """A shape, or a list of shapes, as plain JSON values."""
    return [_dump(item) for item in value] if isinstance(value, list | tuple) else _dump(value)


def _dump(value: Any) -> Any:
    return _adapter(type(value)).dump_python(value, mode="json")


def from_json(shape: type[Shape], data: Any) -> Shape:
    """The shape that `to_json` made; ValueError names the field that does not fit, or that no shape has."""
    unknown = sorted(set(data) - {field.name for field in fields(shape)}) if is_dataclass(shape) else []
    if unknown:
        raise ValueError(f"{shape.__name__} has no field {unknown[0]!r}")
    value: Shape = _adapter(shape).validate_python(data)
    return value


def timestamp(at: datetime) -> str:
    """`2026-11-22T16:03:00.123Z`: how times are written in JSON and on stdout."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
