"""Frames out of a byte stream, however it is cut, and whatever a stranger declares."""

from __future__ import annotations

import struct

import pytest

from broker.errors import MalformedFrame
from broker.wire.frames import RECEIVE_BYTES, FrameReader

MAX = 100 * 1024 * 1024


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
    assert feed(FrameReader(MAX), framed(*bodies), step) == bodies


def test_receives_frames_larger_than_one_read() -> None:
    bodies = [b"s" * 12, b"x" * (3 * 1024 * 1024 + 7), b"t" * 13]
    assert feed(FrameReader(MAX), framed(*bodies), 50_000) == bodies


@pytest.mark.parametrize("length", [RECEIVE_BYTES - 5, RECEIVE_BYTES - 4, RECEIVE_BYTES - 3, RECEIVE_BYTES])
def test_the_edge_between_small_and_large_frames_loses_nothing(length: int) -> None:
    bodies = [b"h" * 10, b"e" * length, b"t" * 10]
    assert feed(FrameReader(MAX), framed(*bodies), 30_000) == bodies


@pytest.mark.parametrize("length", [0, -1, 9, 2**31 - 1, MAX + 1, -(2**31)])
def test_an_impossible_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(MalformedFrame):
        feed(FrameReader(MAX), struct.pack(">i", length), 4)


def test_a_frame_that_was_only_declared_costs_little_memory() -> None:
    reader = FrameReader(MAX)
    feed(reader, struct.pack(">i", MAX) + b"four", 8)
    assert reader.declared_bytes == MAX
    assert len(reader.buffer()) <= 256 * 1024


def test_frames_are_writable_and_do_not_share_memory() -> None:
    reader = FrameReader(MAX)
    data = framed(b"a" * 10, b"b" * 10)
    reader.buffer()[: len(data)] = data
    first, second = reader.received(len(data))
    first[:] = b"z" * 10
    assert bytes(second) == b"b" * 10
