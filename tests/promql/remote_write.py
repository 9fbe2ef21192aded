"""Series as Prometheus's remote-write bodies: snappy over hand-packed protobuf. Stale markers survive it bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import cramjam
import numpy as np

from tests.promql.demo_service import Series

STALE = struct.pack("<Q", 0x7FF0000000000002)


def bodies(series: Sequence[Series], every_ms: int = 300_000) -> Iterator[bytes]:
    """One body for each stretch of time, oldest first, so that nothing arrives out of order."""
    begin = min(int(each.times[0]) for each in series)
    end = max(int(each.times[-1]) for each in series)
    for since in range(begin, end + 1, every_ms):
        packed = b"".join(_field(1, _time_series(each, since, since + every_ms)) for each in series)
        yield bytes(cramjam.snappy.compress_raw(packed))


def _time_series(series: Series, since: int, until: int) -> bytes:
    labels = sorted({**series.labels, "__name__": series.name}.items())
    parts = [_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels]
    low, high = np.searchsorted(series.times, [since, until])
    for row in range(int(low), int(high)):
        value = STALE if series.stale[row] else struct.pack("<d", series.values[row])
        parts.append(_field(2, b"\x09" + value + b"\x10" + _varint(int(series.times[row]))))
    return b"".join(parts)


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
