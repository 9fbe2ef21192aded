"""Requests out of kio's schemas: right ones for any API and version, and ones in which single fields are extreme."""

from __future__ import annotations

import random
import struct
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
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

from broker.wire.codec import shape
from broker.wire.encoder import encode
from tests.fuzz.batches import batch

TOPICS = ("fuzz-0", "fuzz-1", "fuzz-2")
CLIENT = b"fuzzer"
_BAD_NAMES = ("../../etc/passwd", "a\0b", "x" * 250, "", ".", "..", "naïve", "a b", "x" * 30_000, "%s%n", "a/b")
_BITS = {"int8": 8, "int16": 16, "error_code": 16, "int32": 32, "timedelta_i32": 32, "int64": 64, "timedelta_i64": 64,
         "datetime_i64": 64}  # fmt: skip
_KNOWN_TEXT: Mapping[str, tuple[str, ...]] = {
    "group": ("fuzz-group-0", "fuzz-group-1"),
    "transactional_id": ("fuzz-txn-0", "fuzz-txn-1"),
    "member_id": ("", "", "nobody"),
    "protocol_type": ("consumer",),
    "config": ("retention.ms", "max.message.bytes"),
}
PRODUCE = 0


@dataclass(frozen=True, kw_only=True)
class Words:
    """What requests may name: never what the bystander uses."""

    topic_ids: tuple[uuid.UUID, ...]


class Maker:
    """Makes the bodies of requests. `wildness` is the share of fields that are not what an honest client sends."""

    def __init__(self, rng: random.Random, words: Words) -> None:
        self._rng, self._words = rng, words
        self._most = 300
        """Items of a wild array; fewer where each would be stored, rightly."""

    def frame(self, key: int, version: int, correlation: int, wildness: float = 0.0) -> bytes:
        """A whole request without the length before it."""
        found = shape(key, version)
        self._most = 5 if key == PRODUCE else 300
        body = encode(found.request, self._struct(found.request, wildness, depth=0))
        return header(key, version, correlation, flexible=found.flexible_request_header) + bytes(body)

    def _struct(self, schema: type[Any], wildness: float, depth: int) -> dict[str, Any]:
        values = {}
        for field in fields(schema):
            if get_field_tag(field) is not None and self._rng.random() < 0.7:
                continue
            values[field.name] = self._field(field, wildness, depth)
        return values

    def _field(self, field: Any, wildness: float, depth: int) -> Any:
        kind, wild = classify_field(field), self._rng.random() < wildness
        if is_optional(field) and self._rng.random() < (0.3 if wild else 0.05):
            return None
        if isinstance(kind, EntityTupleField):
            return [self._struct(kind.type_, wildness, depth + 1) for _ in range(self._count(wild, depth))]
        if isinstance(kind, PrimitiveTupleField):
            primitive = get_schema_field_type(field)
            return [self._primitive(field.name, primitive, wild) for _ in range(self._count(wild, depth))]
        if isinstance(kind, EntityField):
            return self._struct(kind.type_, wildness, depth + 1)
        return self._primitive(field.name, get_schema_field_type(field), wild)

    def _count(self, wild: bool, depth: int) -> int:
        if wild:
            return self._rng.choice((0, 0, 3, 10, self._most if depth == 0 else 5))
        return 1

    def _primitive(self, name: str, kafka_type: str, wild: bool) -> Any:
        if kafka_type in _BITS:
            return self._number(name, _BITS[kafka_type], wild)
        return _OTHERS[kafka_type](self, name, wild)

    def _number(self, name: str, bits: int, wild: bool) -> int:
        top = 1 << (bits - 1)
        if wild:
            return self._rng.choice((0, -1, -2, 1, top - 1, -top, self._rng.randrange(-top, top)))
        for part, low, high in _RANGES:
            if part in name:
                return self._rng.randint(low, min(high, top - 1))
        return self._rng.choice((0, 0, -1, 1))

    def text(self, name: str, wild: bool) -> str:
        if wild:
            noise = "".join(chr(self._rng.randrange(1, 0x2FF)) for _ in range(self._rng.randrange(40)))
            return self._rng.choice((*_BAD_NAMES, noise))
        for part, known in _KNOWN_TEXT.items():
            if part in name:
                return self._rng.choice(known)
        return self._rng.choice(TOPICS)

    def blob(self, name: str, wild: bool) -> bytes:
        return self._rng.randbytes(self._rng.choice((0, 1, 61, 3000))) if wild else self._rng.randbytes(20)

    def records(self, name: str, wild: bool) -> bytes:
        if not wild:
            return batch()
        data = bytearray(batch() * self._rng.randint(1, 3))
        for _ in range(self._rng.randint(1, 8)):
            data[self._rng.randrange(len(data))] = self._rng.randrange(256)
        return bytes(data)

    def id(self, name: str, wild: bool) -> uuid.UUID | None:
        if wild or not self._words.topic_ids:
            return self._rng.choice((None, uuid.UUID(int=1), uuid.UUID(bytes=self._rng.randbytes(16))))
        return self._rng.choice(self._words.topic_ids)

    def flag(self, name: str, wild: bool) -> bool:
        return self._rng.random() < 0.5

    def share(self, name: str, wild: bool) -> float:
        return self._rng.choice((0.0, float("nan"), float("inf"), -1e308)) if wild else self._rng.random() * 1e9


_RANGES = (
    ("max_wait", 0, 5), ("timeout", 1, 50), ("partitions", 1, 3), ("partition", 0, 1), ("index", 0, 1),
    ("min_bytes", 0, 1), ("max_bytes", 1, 1 << 20), ("acks", -1, 1), ("replication", 1, 1), ("resource_type", 2, 2),
)  # fmt: skip
_Other = Callable[[Maker, str, bool], Any]
_OTHERS: Mapping[str, _Other] = {
    "string": Maker.text, "bytes": Maker.blob, "records": Maker.records, "uuid": Maker.id, "bool": Maker.flag,
    "float64": Maker.share, "uint16": lambda maker, name, wild: 65535 if wild else 1,
    "uint32": lambda maker, name, wild: 0xFFFFFFFF if wild else 1,
}  # fmt: skip


def header(key: int, version: int, correlation: int, *, flexible: bool) -> bytes:
    """A request's header, client id included."""
    start = struct.pack(">hhih", key, version, correlation, len(CLIENT)) + CLIENT
    return start + (b"\0" if flexible else b"")
