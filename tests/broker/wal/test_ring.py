"""The ring file: what survives a crash, and what must not be taken for a crash (law 7)."""

import os
from pathlib import Path

import pytest

from broker.wal.base import Entry, WalError
from broker.wal.layout import ALIGN, RING_AT
from broker.wal.ring import Ring

RING_ID = bytes(range(16))
CAPACITY = 64 * ALIGN


def entry(number: int, size: int = 100) -> Entry:
    return Entry(uid=7, epoch=1, base_offset=number, end_offset=number + 1, records=bytes([number % 256]) * size)


def opened(path: Path, epoch: int = 1) -> Ring:
    ring = Ring.open(path, CAPACITY, RING_ID)
    ring.recover()
    ring.start_epoch(epoch, CAPACITY)
    return ring


def offsets(path: Path) -> list[int]:
    return [one.base_offset for one in Ring.open(path, CAPACITY, RING_ID).recover().entries]


def damage(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


def test_gives_back_what_was_written_in_order(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    ring.write([entry(0), entry(1)])
    ring.write([entry(2)])
    recovered = Ring.open(tmp_path / "ring", CAPACITY, RING_ID).recover()
    assert [bytes(one.records) for one in recovered.entries] == [bytes(entry(n).records) for n in range(3)]
    assert "3 entries" in recovered.note


def test_forgets_what_was_trimmed(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    mark = ring.write([entry(0)])
    ring.write([entry(1)])
    ring.trim(mark)
    assert offsets(tmp_path / "ring") == [1]


def test_cuts_off_a_torn_tail_and_says_so(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    ring.write([entry(0)])
    ring.write([entry(1)])
    damage(tmp_path / "ring", RING_AT + ALIGN + 150)
    recovered = Ring.open(tmp_path / "ring", CAPACITY, RING_ID).recover()
    assert [one.base_offset for one in recovered.entries] == [0]
    assert "torn group" in recovered.note


def test_goes_on_writing_where_the_torn_tail_was(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    ring.write([entry(0)])
    ring.write([entry(1)])
    damage(tmp_path / "ring", RING_AT + ALIGN + 150)
    opened(tmp_path / "ring", epoch=2).write([entry(5)])
    assert offsets(tmp_path / "ring") == [0, 5]


@pytest.mark.parametrize("at", [0, 30, 150])
def test_refuses_a_bad_block_with_a_whole_one_behind_it(tmp_path: Path, at: int) -> None:
    ring = opened(tmp_path / "ring")
    for number in range(3):
        ring.write([entry(number)])
    damage(tmp_path / "ring", RING_AT + ALIGN + at)
    with pytest.raises(
        WalError, match=rf"offset {RING_AT + ALIGN} is damaged.*offset {RING_AT + 2 * ALIGN}.*corruption"
    ):
        Ring.open(tmp_path / "ring", CAPACITY, RING_ID).recover()


def test_never_takes_an_older_lap_for_new(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    for number in range(100):
        mark = ring.write([entry(number, size=5000)])
        if number < 98:
            ring.trim(mark)
    assert offsets(tmp_path / "ring") == [98, 99]
    ring.trim(mark)
    assert offsets(tmp_path / "ring") == []


def test_wraps_a_block_around_the_end(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    ring.trim(ring.write([entry(0, size=60 * ALIGN)]))
    ring.write([entry(1, size=10 * ALIGN)])
    assert offsets(tmp_path / "ring") == [1]


def test_survives_one_torn_head_slot_and_refuses_two(tmp_path: Path) -> None:
    ring = opened(tmp_path / "ring")
    ring.trim(ring.write([entry(0)]))
    ring.write([entry(1)])
    damage(tmp_path / "ring", 20 + ALIGN)
    assert offsets(tmp_path / "ring")[-1] == 1
    damage(tmp_path / "ring", 20)
    with pytest.raises(WalError, match="neither head slot"):
        Ring.open(tmp_path / "ring", CAPACITY, RING_ID)


def test_a_sequence_never_repeats_across_openings(tmp_path: Path) -> None:
    seen = set()
    for epoch in range(1, 5):
        ring = opened(tmp_path / "ring", epoch)
        assert ring._sequence not in seen
        seen.add(ring._sequence)
        ring.write([entry(epoch)])
        os.close(os.dup(ring._fd))
    assert offsets(tmp_path / "ring") == [1, 2, 3, 4]


def test_allocates_the_whole_ring_at_birth(tmp_path: Path) -> None:
    opened(tmp_path / "ring")
    assert (tmp_path / "ring").stat().st_blocks * 512 >= CAPACITY
