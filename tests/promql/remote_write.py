"""Series as Prometheus's remote-write bodies: snappy over hand-packed protobuf. Stale markers survive it bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

import cramjam
import numpy as np
from numpy.typing import NDArray

from tests.promql.demo_service import Series

STALE = struct.pack("<Q", 0x7FF0000000000002)


def bodies(series: Sequence[Series], every_ms: int = 300_000) -> Iterator[bytes]:
    """One body for each stretch of time, oldest first, so that nothing arrives out of order."""
    begin = min(int(each.times[0]) for each in series)
    end = max(int(each.times[-1]) for each in series)
    for since in range(begin, end + 1, every_ms):
        packed = b"".join(_field(1, _time_series(each, since, since + every_ms)) for each in series)
        yield bytes(cramjam.snappy.compress_raw(packed))


def grid_body(labels: Sequence[Mapping[str, str]], times: NDArray[np.int64], values: NDArray[np.float64]) -> bytes:
    """One body for many series that were all scraped at the same times, `values` by time and series: packed at one go.

    A sample is 18 bytes where its time is one of this century: field, length, value, time.
    """
    stamps = [_varint(int(at)) for at in times]
    assert {len(stamp) for stamp in stamps} == {6}
    rows = np.empty((len(labels), len(times), 18), dtype=np.uint8)
    rows[:, :, :3] = (0x12, 16, 0x09)
    rows[:, :, 3:11] = np.ascontiguousarray(values.T, dtype="<f8").view(np.uint8).reshape(len(labels), len(times), 8)
    rows[:, :, 11] = 0x10
    rows[:, :, 12:] = np.frombuffer(b"".join(stamps), dtype=np.uint8).reshape(len(times), 6)
    packed, size = rows.tobytes(), 18 * len(times)
    parts = []
    for n, each in enumerate(labels):
        head = b"".join(_field(1, _field(1, k.encode()) + _field(2, v.encode())) for k, v in sorted(each.items()))
        parts += [b"\x0a" + _varint(len(head) + size) + head, packed[n * size : (n + 1) * size]]
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


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
