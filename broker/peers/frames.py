"""The bytes between brokers. Kafka's frame and request header (a null client id), with API keys Kafka does not use:

    request   int32 size | int16 key | int16 version | int32 correlation | int16 -1 | body
    answer    int32 size | int32 correlation | int16 error | body

    HELLO  v0  int32 broker, 16 bytes nonce        ->  16 bytes nonce, 32 bytes proof
    PROVE  v0  32 bytes proof                      ->  nothing
    LOOK   v0  int64 version, [int64 uid]          ->  int64 version seen, [int64 uid that is open]
    WRITE_MARKERS  v0  [int64 producer, int16 epoch, int32 coordinator epoch, int8 commit, [int64 uid]]
                                                   ->  [int16 error of each uid, in their order]

Both sides prove that they know the cluster's secret, and the secret itself is never sent: a proof is the HMAC-SHA256
of the role and both nonces. Key and version are checked one by one, so that versions N and N-1 of the broker can talk;
what one does not know is answered with UNSUPPORTED_VERSION.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from broker.errors import MalformedFrame
from broker.records.markers import Marker
from broker.wire.cursor import I8, I16, I32, I64, Cursor

HELLO, PROVE, LOOK, WRITE_MARKERS = 30_000, 30_001, 30_002, 30_003
NONCE_BYTES, PROOF_BYTES = 16, 32
MAX_FRAME_BYTES = 1024 * 1024
_NO_CLIENT_ID = I16.pack(-1)
_LEAST_BYTES = 6
"""An answer without body."""


def proof(secret: bytes, role: bytes, asker_nonce: bytes, answerer_nonce: bytes) -> bytes:
    """What only a holder of the secret can say about this pair of nonces, in this role."""
    return hmac.digest(secret, role + asker_nonce + answerer_nonce, "sha256")


def request(key: int, version: int, correlation: int, body: bytes) -> bytes:
    head = I16.pack(key) + I16.pack(version) + I32.pack(correlation) + _NO_CLIENT_ID
    return I32.pack(len(head) + len(body)) + head + body


def answer(correlation: int, error: int, body: bytes) -> bytes:
    return I32.pack(_LEAST_BYTES + len(body)) + I32.pack(correlation) + I16.pack(error) + body


async def read_frame(reader: asyncio.StreamReader, most: int = MAX_FRAME_BYTES) -> memoryview:
    """The next frame. MalformedFrame for an impossible size, IncompleteReadError at the end."""
    size = Cursor(memoryview(await reader.readexactly(4))).int32()
    if not _LEAST_BYTES <= size <= most:
        raise MalformedFrame(f"a frame of {size} bytes between brokers; {_LEAST_BYTES} to {most} are sent")
    return memoryview(await reader.readexactly(size))


def look(version: int, uids: Collection[int]) -> bytes:
    """The body of LOOK, asked or answered."""
    return I64.pack(version) + I32.pack(len(uids)) + b"".join(I64.pack(uid) for uid in uids)


def read_look(cursor: Cursor) -> tuple[int, list[int]]:
    version = cursor.int64()
    return version, [cursor.int64() for _ in range(cursor.count(8))]


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkerOrder:
    """One marker, and the partitions it is for."""

    marker: Marker
    uids: tuple[int, ...]


_LEAST_ORDER_BYTES = 19
"""A marker for no partition."""


def markers(orders: Sequence[MarkerOrder]) -> bytes:
    """The body of WRITE_MARKERS."""
    out = bytearray(I32.pack(len(orders)))
    for order in orders:
        marker = order.marker
        out += I64.pack(marker.producer_id) + I16.pack(marker.producer_epoch)
        out += I32.pack(marker.coordinator_epoch) + I8.pack(int(marker.commit)) + I32.pack(len(order.uids))
        for uid in order.uids:
            out += I64.pack(uid)
    return bytes(out)


def read_markers(cursor: Cursor) -> list[MarkerOrder]:
    return [_read_order(cursor) for _ in range(cursor.count(_LEAST_ORDER_BYTES))]


def _read_order(cursor: Cursor) -> MarkerOrder:
    marker = Marker(
        producer_id=cursor.int64(),
        producer_epoch=cursor.int16(),
        coordinator_epoch=cursor.int32(),
        commit=bool(cursor.int8()),
    )
    return MarkerOrder(marker=marker, uids=tuple(cursor.int64() for _ in range(cursor.count(8))))


def codes(found: Sequence[int]) -> bytes:
    """The answer to WRITE_MARKERS."""
    return I32.pack(len(found)) + b"".join(I16.pack(code) for code in found)


def read_codes(cursor: Cursor) -> list[int]:
    return [cursor.int16() for _ in range(cursor.count(2))]
