"""Batches with keys and values in them, written and read independently of the broker's own record code."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.record.default_records import DefaultRecordBatch
from crc32c import crc32c

from broker.records.codecs import encode

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
Pair = tuple[bytes | None, bytes | None]


def zigzag(value: int) -> bytes:
    number = (value << 1) ^ (value >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def one_record(delta: int, key: bytes | None, value: bytes | None, at: int = 0) -> bytes:
    body = b"\0" + zigzag(at) + zigzag(delta)
    for part in (key, value):
        body += zigzag(-1) if part is None else zigzag(len(part)) + part
    body += b"\0"
    return zigzag(len(body)) + body


def keyed(
    pairs: Sequence[Pair],
    *,
    base: int = 0,
    codec: str = "none",
    at_ms: int = 1000,
    producer: int = -1,
    sequence: int = -1,
    transactional: bool = False,
    control: bool = False,
) -> bytes:
    """A batch of these records, a millisecond apart."""
    payload = encode(codec, b"".join(one_record(n, *pair, at=n) for n, pair in enumerate(pairs)))
    attributes = CODECS.index(codec) | (0x10 if transactional else 0) | (0x20 if control else 0)
    epoch = 0 if producer >= 0 else -1
    body = struct.pack(
        ">hiqqqhii", attributes, len(pairs) - 1, at_ms, at_ms + len(pairs) - 1, producer, epoch, sequence, len(pairs)
    )
    body += payload
    return struct.pack(">qiibI", base, len(body) + 9, 0, 2, crc32c(body)) + body


def marker(producer: int, base: int, *, commit: bool, at_ms: int = 1000) -> bytes:
    """The end of a transaction, as a coordinator writes it."""
    key, value = struct.pack(">hh", 0, int(commit)), struct.pack(">hi", 0, 0)
    return keyed([(key, value)], base=base, producer=producer, transactional=True, control=True, at_ms=at_ms)


@dataclass(frozen=True)
class Seen:
    offset: int
    key: bytes | None
    value: bytes | None
    at_ms: int


def split(data: bytes) -> list[bytes]:
    """The batches of a blob."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at + 8)
        found.append(data[at : at + 12 + length])
        at += 12 + length
    return found


def read_by_a_client(data: bytes) -> list[Seen]:
    """Every record, as aiokafka decodes them, checksums included; control batches left out."""
    found = []
    for one in split(data):
        batch = DefaultRecordBatch(one)
        assert batch.validate_crc()
        if not batch.is_control_batch:
            found += [Seen(r.offset, r.key, r.value, r.timestamp) for r in batch]
    return found
