"""Frames out of a byte stream, however it is cut, and whatever a stranger declares."""

from __future__ import annotations

import struct

import pytest

from broker.errors import MalformedFrame
from broker.wire.frames import LARGE_BYTES, RECEIVE_BYTES, FrameReader

MAX = 100 * 1024 * 1024


def reader_of(receive: bytearray | None = None) -> FrameReader:
    return FrameReader(MAX, bytearray(RECEIVE_BYTES) if receive is None else receive)


def feed(reader: FrameReader, data: bytes, step: int) -> list[bytes]:
    """Hands `data` over in pieces of at most `step` bytes."""
    frames: list[bytes] = []
    while data:
        buffer = reader.buffer()
        size = min(step, len(buffer), len(data))
        buffer[:size] = data[:size]
        data = data[size:]
        frames += [bytes(frame) for frame in reader.received(size)]
    return frames


def framed(*bodies: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(body)) + body for body in bodies)


@pytest.mark.parametrize("step", [1, 3, 17, 4096, RECEIVE_BYTES])
def test_gives_the_same_frames_however_the_stream_is_cut(step: int) -> None:
    bodies = [b"a" * 10, b"b" * 500, b"c" * 11]
    assert feed(reader_of(), framed(*bodies), step) == bodies


def test_receives_frames_larger_than_one_read() -> None:
    bodies = [b"s" * 12, b"x" * (3 * 1024 * 1024 + 7), b"t" * 13]
    assert feed(reader_of(), framed(*bodies), 50_000) == bodies


@pytest.mark.parametrize(
    "length", [LARGE_BYTES - 5, LARGE_BYTES - 4, LARGE_BYTES - 3, RECEIVE_BYTES - 3, RECEIVE_BYTES]
)
def test_the_edge_between_small_and_large_frames_loses_nothing(length: int) -> None:
    bodies = [b"h" * 10, b"e" * length, b"t" * 10]
    assert feed(reader_of(), framed(*bodies), 30_000) == bodies


@pytest.mark.parametrize("length", [0, -1, 9, 2**31 - 1, MAX + 1, -(2**31)])
def test_an_impossible_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(MalformedFrame):
        feed(reader_of(), struct.pack(">i", length), 4)


def test_a_frame_that_was_only_declared_costs_little_memory() -> None:
    reader = reader_of()
    feed(reader, struct.pack(">i", MAX) + b"four", 8)
    assert reader.declared_bytes == MAX
    assert len(reader.buffer()) <= 256 * 1024


def test_frames_are_writable_and_do_not_share_memory() -> None:
    reader = reader_of()
    data = framed(b"a" * 10, b"b" * 10)
    reader.buffer()[: len(data)] = data
    first, second = reader.received(len(data))
    first[:] = b"z" * 10
    assert bytes(second) == b"b" * 10


def test_streams_share_the_memory_they_are_read_into_and_do_not_disturb_each_other() -> None:
    receive = bytearray(RECEIVE_BYTES)
    one, two = reader_of(receive), reader_of(receive)
    first, second = framed(b"a" * 5000, b"b" * 100_000), framed(b"c" * 7000, b"d" * 90_000)
    got: tuple[list[bytes], list[bytes]] = ([], [])
    for at in range(0, len(first), 999):
        got[0].extend(feed(one, first[at : at + 999], 333))
        got[1].extend(feed(two, second[at : at + 999], 500))
    assert got == ([b"a" * 5000, b"b" * 100_000], [b"c" * 7000, b"d" * 90_000])


def test_a_stream_that_has_filled_a_large_frame_gets_room_for_the_next_at_once_but_for_a_huge_one() -> None:
    reader = reader_of()
    feed(reader, framed(b"x" * 900_000), 50_000)
    feed(reader, struct.pack(">i", 900_000) + b"four", 8)
    assert len(reader.buffer()) == 900_000 - 4
    greedy = reader_of()
    feed(greedy, framed(b"x" * (5 << 20)), 500_000)
    feed(greedy, struct.pack(">i", MAX) + b"four", 8)
    assert len(greedy.buffer()) <= 1 << 20
