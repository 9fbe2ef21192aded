"""How a ring is made: allocated and zeroed ahead of its writer, and never over what was written."""

import os
import struct
import time
from pathlib import Path

import pytest
from crc32c import crc32c

from broker.wal.base import Entry, WalError
from broker.wal.layout import RING_AT
from broker.wal.making import FIRST_BYTES, PIECE_BYTES
from broker.wal.ring import Ring

RING_ID = bytes(range(16))
CAPACITY = FIRST_BYTES + 24 * PIECE_BYTES


def entry(number: int, size: int) -> Entry:
    return Entry(uid=7, epoch=1, base_offset=number, end_offset=number + 1, records=bytes([number % 255 + 1]) * size)


def holes(path: Path) -> bool:
    with path.open("rb") as file:
        return os.lseek(file.fileno(), RING_AT, os.SEEK_HOLE) < path.stat().st_size


def until_zeroed(ring: Ring) -> None:
    deadline = time.monotonic() + 60
    while ring.zeroing.left_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    ring.zeroing.stop()


def test_the_first_segment_is_zeroed_at_birth_and_the_rest_soon_after(tmp_path: Path) -> None:
    ring = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    assert ring.zeroing.left_bytes == CAPACITY - FIRST_BYTES
    ring.recover()
    ring.start_epoch(1, CAPACITY)
    until_zeroed(ring)
    assert not holes(tmp_path / "ring")


def test_zeroing_never_writes_over_what_the_writer_wrote_meanwhile(tmp_path: Path) -> None:
    ring = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    ring.recover()
    ring.start_epoch(1, CAPACITY)
    written = 0
    while ring.position + 2 * PIECE_BYTES < CAPACITY:
        ring.write([entry(written, PIECE_BYTES - 70_000)])
        written += 1
    until_zeroed(ring)
    found = Ring.open(tmp_path / "ring", CAPACITY, RING_ID).recover().entries
    assert [bytes(one.records) for one in found] == [
        bytes(entry(n, PIECE_BYTES - 70_000).records) for n in range(written)
    ]


def test_a_ring_whose_zeroing_a_crash_cut_short_is_zeroed_on_at_the_next_start(tmp_path: Path) -> None:
    ring = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    ring.recover()
    ring.write([entry(0, 100)])
    ring.close()
    again = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    assert [one.base_offset for one in again.recover().entries] == [0]
    again.start_epoch(2, CAPACITY)
    until_zeroed(again)
    assert [one.base_offset for one in Ring.open(tmp_path / "ring", CAPACITY, RING_ID).recover().entries] == [0]


def earlier_release(path: Path, capacity: int) -> None:
    """A ring as the first release made it: allocated, never zeroed, and a head that says nothing of reach."""
    body = struct.pack(">Q16sQQQQ", 0, RING_ID, capacity, 0, 1, 0)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, RING_AT + capacity)
        file.write((b"SPWALHD1" + struct.pack(">I", crc32c(body)) + body).ljust(4096, b"\0"))


def test_a_ring_of_the_first_release_opens_and_is_written_on(tmp_path: Path) -> None:
    earlier_release(tmp_path / "ring", CAPACITY)
    ring = Ring.open(tmp_path / "ring", 1, b"x" * 16)
    assert ring.recover().entries == []
    ring.start_epoch(1, CAPACITY)
    ring.write([entry(0, 100)])
    until_zeroed(ring)
    assert [one.base_offset for one in Ring.open(tmp_path / "ring", 1, b"x" * 16).recover().entries] == [0]


def test_looks_for_later_blocks_no_further_than_the_writer_may_have_reached(tmp_path: Path) -> None:
    """Opening a full ring must not read all of it: recovery has 2 s."""
    ring = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    ring.recover()
    ring.start_epoch(1, 8 * PIECE_BYTES)
    until_zeroed(ring)
    ring.write([entry(0, 100)])
    again = Ring.open(tmp_path / "ring", CAPACITY, RING_ID)
    read, pread = [], os.preadv
    os.preadv = lambda fd, into, at: (read.append(sum(map(len, into))), pread(fd, into, at))[1]  # type: ignore[assignment]
    try:
        again.recover()
    finally:
        os.preadv = pread
    assert 0 < sum(read) <= 8 * PIECE_BYTES


def test_a_disk_too_small_for_the_ring_is_named_with_its_bytes(tmp_path: Path) -> None:
    with pytest.raises(WalError, match=r"ring: cannot allocate \d+ bytes: .*; free the disk or give --wal-size"):
        Ring.open(tmp_path / "ring", 1 << 50, RING_ID)
    assert list(tmp_path.iterdir()) == []
