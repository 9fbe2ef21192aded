"""Record batches: right ones, and forged ones with the error that Kafka gives for each."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from crc32c import crc32c

NOT_READ, TOO_LARGE, OUT_OF_ORDER, NO_SUCH_EPOCH, INVALID_TXN_STATE = 2, 10, 45, 47, 48
INVALID_CODEC, INVALID_RECORD = 76, 87
_BODY = struct.Struct(">hiqqqhii")


@dataclass(frozen=True, kw_only=True)
class Header:
    """The checksummed fields of a batch, and what is claimed outside of the checksum."""

    attributes: int = 0
    last_delta: int = 0
    producer: int = -1
    epoch: int = -1
    sequence: int = -1
    count: int = 1
    timestamp_ms: int = 1000
    magic: int = 2
    length: int | None = None
    """None: the true one."""
    crc_xor: int = 0


def record(value: bytes = b"v") -> bytes:
    """One record with a null key and no headers."""
    inner = struct.pack(">bbbb", 0, 0, 0, 1) + varint(len(value)) + value + b"\0"
    return varint(len(inner)) + inner


def varint(number: int) -> bytes:
    """Zigzag, as records have it."""
    left, out = (number << 1) ^ (number >> 63), bytearray()
    while left > 0x7F:
        out.append((left & 0x7F) | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def batch(header: Header | None = None, records: bytes | None = None) -> bytes:
    """The bytes of one batch; the checksum is right unless `crc_xor` says otherwise."""
    given = header or Header()
    payload = record() if records is None else records
    at = given.timestamp_ms
    body = _BODY.pack(
        *(given.attributes, given.last_delta, at, at, given.producer, given.epoch, given.sequence, given.count)
    )
    body += payload
    length = len(body) + 9 if given.length is None else given.length
    return struct.pack(">qiibI", 0, length, -1, given.magic, crc32c(body) ^ given.crc_xor) + body


@dataclass(frozen=True, kw_only=True)
class Forgery:
    """A batch that no honest client sends, and the codes that it may be refused with."""

    name: str
    data: bytes
    codes: frozenset[int]


def _forged(name: str, *codes: int, records: bytes | None = None, **lies: int) -> Forgery:
    return Forgery(name=name, data=batch(replace(Header(), **lies), records), codes=frozenset(codes))


def forgeries(producer: int, other: int) -> tuple[Forgery, ...]:
    """Every forgery. `producer` was handed out with epoch 0 and has written sequence 0 in epoch 1; `other` nothing."""
    good = batch()

    def cut(name: str, data: bytes) -> Forgery:
        return Forgery(name=name, data=data, codes=frozenset((NOT_READ, INVALID_RECORD)))

    return (
        _forged("a wrong checksum", NOT_READ, crc_xor=1),
        _forged("more records claimed than sent", INVALID_RECORD, count=1000, last_delta=999),
        _forged("2^31-1 records claimed", INVALID_RECORD, count=2**31 - 1, last_delta=2**31 - 2),
        _forged("a negative record count", INVALID_RECORD, count=-1, last_delta=-2),
        _forged("no records", INVALID_RECORD, count=0, last_delta=-1, records=b""),
        _forged("a last offset delta that is not the count", INVALID_RECORD, last_delta=1_000_000),
        _forged("a control batch", INVALID_RECORD, attributes=0x20),
        _forged(
            "a transactional control batch",
            INVALID_RECORD,
            INVALID_TXN_STATE,
            attributes=0x30,
            producer=other,
            epoch=0,
            sequence=0,
        ),
        _forged("unknown attributes", INVALID_RECORD, attributes=0x4000),
        _forged("an unknown codec", INVALID_CODEC, attributes=7),
        _forged("magic 0", INVALID_RECORD, NOT_READ, magic=0),
        _forged("magic 3", INVALID_RECORD, NOT_READ, magic=3),
        _forged("a batch length of 2^31-1", NOT_READ, INVALID_RECORD, length=2**31 - 1),
        _forged("a negative batch length", NOT_READ, INVALID_RECORD, length=-1),
        _forged("a batch length of 0", NOT_READ, INVALID_RECORD, length=0),
        _forged("an epoch that is over", NO_SUCH_EPOCH, producer=producer, epoch=0, sequence=1),
        _forged("a negative epoch", INVALID_RECORD, producer=producer, epoch=-5, sequence=1),
        _forged("a negative sequence", INVALID_RECORD, producer=other, epoch=0, sequence=-3),
        _forged("a sequence from the future", OUT_OF_ORDER, producer=producer, epoch=1, sequence=5000),
        cut("a header cut short", good[:40]),
        cut("a batch cut short", good[:-3]),
        cut("bytes behind a batch", good + b"\0\0\0"),
        cut("a second batch cut short", good + good[:20]),
        cut("nothing but zeros", bytes(200)),
    )
