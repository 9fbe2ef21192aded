"""The bytes of an object: read back by the index, and never believed without a checksum."""

import pytest

from broker.objects.layout import (
    BLOCK_BYTES,
    TRAILER,
    DamagedObject,
    ObjectBuilder,
    Piece,
    check_block,
    index_span,
    unpack_index,
)


def piece(base: int, size: int, at_ms: int = 5) -> Piece:
    return Piece(base_offset=base, end_offset=base + 10, max_timestamp_ms=at_ms, data=bytes([base % 256]) * size)


def built() -> bytes:
    builder = ObjectBuilder()
    builder.add(7, [piece(0, 100), piece(10, BLOCK_BYTES), piece(20, 50, at_ms=9)])
    builder.add(8, [piece(500, 30)])
    return builder.build().joined()


def index_of(data: bytes) -> tuple:  # type: ignore[type-arg]
    tail = data[-TRAILER.size :]
    position, size = index_span(tail)
    return unpack_index(data[position : position + size], tail)


def test_the_index_finds_every_block() -> None:
    data = built()
    entries = index_of(data)
    assert [(e.uid, e.base_offset, e.end_offset) for e in entries] == [
        (7, 0, 10),
        (7, 10, 20),
        (7, 20, 30),
        (8, 500, 510),
    ]
    assert entries[2].max_timestamp_ms == 9
    for entry in entries:
        check_block(entry, data[entry.position : entry.position + entry.size_bytes])


def test_a_truncated_or_changed_block_is_not_believed() -> None:
    data = built()
    entry = index_of(data)[0]
    block = data[entry.position : entry.position + entry.size_bytes]
    with pytest.raises(DamagedObject):
        check_block(entry, block[:-1])
    with pytest.raises(DamagedObject):
        check_block(entry, b"x" + block[1:])


def test_a_truncated_object_is_not_believed() -> None:
    with pytest.raises(DamagedObject):
        index_span(built()[:-3])
    with pytest.raises(DamagedObject):
        index_span(b"")
