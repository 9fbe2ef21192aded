"""The batch header: what is believed, what is refused, what is patched."""

from __future__ import annotations

import struct

import pytest
from crc32c import crc32c

from broker.errors import CorruptMessage, InvalidRecord, UnsupportedCompressionType, UnsupportedForMessageFormat
from broker.records.batch import HEADER_BYTES, batches, check_crc, check_produced, parse, patch, stamp


def batch(
    *, count: int = 1, delta: int | None = None, attributes: int = 0, producer: int = -1, sequence: int = -1
) -> bytearray:
    """A batch with a right CRC, whatever its header claims; its records are filler."""
    body = struct.pack(
        ">hiqqqhii",
        attributes,
        count - 1 if delta is None else delta,
        1000,
        2000,
        producer,
        0 if producer >= 0 else -1,
        sequence,
        count,
    ) + bytes(10 * max(count, 1))
    return bytearray(struct.pack(">qiibI", 0, len(body) + 9, -1, 2, crc32c(body)) + body)


def test_reads_every_field_of_a_header() -> None:
    found = parse(batch(count=3, producer=77, sequence=5, attributes=4))
    assert (found.count, found.last_offset_delta, found.producer_id, found.base_sequence) == (3, 2, 77, 5)
    assert (found.codec, found.base_timestamp, found.max_timestamp, found.last_sequence) == ("zstd", 1000, 2000, 7)


def test_walks_the_batches_of_a_blob_in_order() -> None:
    blob = bytes(batch(count=1)) + bytes(batch(count=2))
    assert [found.count for found in batches(blob)] == [1, 2]


def test_a_patched_batch_keeps_its_crc() -> None:
    data = batch(count=2)
    patch(data, parse(data), base_offset=41, leader_epoch=7)
    found = parse(data)
    check_crc(data, found)
    assert (found.base_offset, found.next_offset, found.leader_epoch) == (41, 43, 7)


def test_a_stamped_batch_says_whose_clock_it_has_and_is_whole() -> None:
    data = batch()
    stamp(data, parse(data), 123456)
    (found,) = check_produced(data)
    assert found.is_log_append_time
    assert found.max_timestamp == 123456


@pytest.mark.parametrize("size", [0, 1, 12, HEADER_BYTES - 1])
def test_a_header_that_is_cut_short_is_corrupt(size: int) -> None:
    with pytest.raises((CorruptMessage, InvalidRecord)):
        check_produced(batch()[:size])


def test_truncation_at_every_byte_is_refused() -> None:
    whole = batch(count=2)
    for size in range(len(whole)):
        with pytest.raises((CorruptMessage, InvalidRecord)):
            check_produced(whole[:size])


def test_a_flipped_bit_is_found_by_the_crc() -> None:
    data = batch()
    data[-1] ^= 1
    with pytest.raises(CorruptMessage, match="CRC32C"):
        check_produced(data)


@pytest.mark.parametrize("length", [-1, 0, 48, 2**31 - 1])
def test_an_impossible_length_is_corrupt(length: int) -> None:
    data = batch()
    struct.pack_into(">i", data, 8, length)
    with pytest.raises(CorruptMessage):
        check_produced(data)


def test_an_old_format_is_refused() -> None:
    data = batch()
    data[16] = 1
    with pytest.raises(UnsupportedForMessageFormat):
        check_produced(data)


@pytest.mark.parametrize(
    "lying",
    [
        {"count": 0},
        {"count": -5, "delta": -6},
        {"count": 2, "delta": 5},
        {"attributes": 0x20},
        {"attributes": 0x10},
        {"attributes": 0x100},
        {"producer": 5, "sequence": -1},
    ],
)
def test_claims_that_cannot_be_true_are_refused(lying: dict[str, int]) -> None:
    with pytest.raises(InvalidRecord):
        check_produced(batch(**lying))


def test_more_records_than_bytes_are_refused() -> None:
    data = batch(count=1)
    struct.pack_into(">i", data, 57, 1000)
    struct.pack_into(">i", data, 23, 999)
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    with pytest.raises(InvalidRecord, match="cannot fit"):
        check_produced(data)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(UnsupportedCompressionType):
        check_produced(batch(attributes=7))
