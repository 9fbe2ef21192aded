"""Cuts a byte stream into Kafka frames: four bytes of length, then that many bytes.

Laws: 1. a length is checked before anything of its size is made; storage grows only with what has arrived, or to what
this stream has filled before. 2. Every frame is its own writable memory: records may be patched in place and kept.
3. A large frame is received where it will stay. 4. A stream between frames holds no storage: what a read of the socket
brings lands in memory that all streams of a server share, since each reading is over before the next begins.
"""

from __future__ import annotations

from broker.errors import MalformedFrame
from broker.wire.cursor import I32

RECEIVE_BYTES = 256 * 1024
"""What one read of the socket brings at most, outside a large frame: many small requests, for a read costs as much as
one of them.
"""
LARGE_BYTES = 64 * 1024
"""A frame above this is large."""
_GROWTH = 4
_MOST_AT_ONCE_BYTES = 1024 * 1024
"""Larger frames are let grow, whatever the stream has filled before."""
_LENGTH_BYTES = 4
_MIN_FRAME_BYTES = 10
"""A header: key, version, correlation id and a null client id."""


class FrameReader:
    """One connection's incoming bytes. The socket writes into `buffer()`; `received(n)` gives whole frames."""

    __slots__ = ("_filled", "_first_bytes", "_frame", "_frame_bytes", "_left", "_max_bytes", "_receive")

    def __init__(self, max_frame_bytes: int, receive: bytearray) -> None:
        """`receive`, of `RECEIVE_BYTES`, may be that of other readers: it is theirs again after `received`."""
        self._max_bytes = max_frame_bytes
        self._receive = memoryview(receive)
        self._left = b""
        """The beginning of an unfinished small frame."""
        self._frame: bytearray | None = None
        """A large frame in the making; `_filled` of `_frame_bytes` have come."""
        self._frame_bytes = self._filled = 0
        self._first_bytes = LARGE_BYTES
        """Of the next large frame's storage."""

    def limit(self, max_frame_bytes: int) -> None:
        """From the next frame on, at most so many bytes."""
        self._max_bytes = max_frame_bytes

    @property
    def declared_bytes(self) -> int:
        """The size of the frame that is under way; 0 between frames."""
        if self._frame is not None:
            return self._frame_bytes
        return LARGE_BYTES if self._left else 0

    def buffer(self) -> memoryview:
        """Where the next bytes go, at once; never empty."""
        if self._frame is None:
            left = len(self._left)
            self._receive[:left] = self._left
            return self._receive[left:]
        if self._filled == len(self._frame):
            grown = bytearray(min(self._frame_bytes, len(self._frame) * _GROWTH))
            grown[: self._filled] = self._frame
            self._frame = grown
        return memoryview(self._frame)[self._filled :]

    def received(self, count: int) -> list[memoryview]:
        """The frames that `count` more bytes completed. MalformedFrame when a length is impossible or too large."""
        if self._frame is None:
            return self._cut(len(self._left) + count)
        self._filled += count
        if self._filled < self._frame_bytes:
            return []
        whole = memoryview(self._frame)
        self._frame = None
        self._first_bytes = max(self._first_bytes, min(self._filled, _MOST_AT_ONCE_BYTES))
        return [whole]

    def _cut(self, end: int) -> list[memoryview]:
        frames: list[memoryview] = []
        view, start = self._receive, 0
        while end - start >= _LENGTH_BYTES:
            length = self._length(start)
            begin = start + _LENGTH_BYTES
            if begin + length > end:
                if _LENGTH_BYTES + length > LARGE_BYTES:
                    self._begin_large(view[begin:end], length)
                    start = end
                break
            frames.append(memoryview(bytearray(view[begin : begin + length])))
            start = begin + length
        self._left = bytes(view[start:end])
        return frames

    def _length(self, at: int) -> int:
        (length,) = I32.unpack_from(self._receive, at)
        if not _MIN_FRAME_BYTES <= length <= self._max_bytes:
            raise MalformedFrame(f"a frame of {length} bytes; {_MIN_FRAME_BYTES} to {self._max_bytes} are accepted")
        return int(length)

    def _begin_large(self, arrived: memoryview, length: int) -> None:
        self._frame = bytearray(min(length, max(self._first_bytes, len(arrived))))
        self._frame[: len(arrived)] = arrived
        self._frame_bytes, self._filled = length, len(arrived)
