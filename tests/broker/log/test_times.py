"""Finding a record by time without decompressing."""

import struct

from crc32c import crc32c

from broker.log.times import first_at


def record(delta_ms: int, number: int) -> bytes:
    def zigzag(value: int) -> bytes:
        value = (value << 1) ^ (value >> 63)
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)

    body = b"\0" + zigzag(delta_ms) + zigzag(number) + zigzag(-1) + zigzag(1) + b"v" + zigzag(0)
    return zigzag(len(body)) + body


def batch(deltas: list[int], attributes: int = 0) -> bytes:
    records = b"".join(record(delta, number) for number, delta in enumerate(deltas))
    body = struct.pack(">hiqqqhii", attributes, len(deltas) - 1, 1000, 1000 + max(deltas), -1, -1, -1, len(deltas))
    body += records
    return struct.pack(">qiibI", 40, len(body) + 9, 0, 2, crc32c(body)) + body


def test_names_the_very_record_in_an_uncompressed_batch() -> None:
    data = batch([0, 300, 200, 900])
    assert first_at(data, 1000) == (40, 1000)
    assert first_at(data, 1250) == (41, 1300)
    assert first_at(data, 1301) == (43, 1900)
    assert first_at(data, 1901) == (-1, -1)


def test_names_the_batch_when_it_is_compressed() -> None:
    assert first_at(batch([0, 300], attributes=4), 1250) == (40, 1250)


def test_bytes_that_are_no_records_cost_nothing() -> None:
    data = bytearray(batch([0, 300]))
    data[61:] = b"\x80" * (len(data) - 61)
    assert first_at(bytes(data), 1250) == (40, 1250)
