"""Cuts a byte stream into Kafka frames: four bytes of length, then that many bytes.

Laws: 1. a length is checked before anything of its size is made; a frame that was declared but not sent costs at most
`_FIRST_BYTES`, and storage grows only with what has arrived. 2. Every frame is its own writable memory: records may be
patched in place and kept. 3. A large frame is received where it will stay, and is not copied once its storage stands.
"""

from __future__ import annotations

from broker.errors import MalformedFrame
from broker.wire.cursor import I32

RECEIVE_BYTES = 64 * 1024
"""What one read of the socket brings at most, outside a large frame."""
_FIRST_BYTES = 256 * 1024
_GROWTH = 4
_LENGTH_BYTES = 4
_MIN_FRAME_BYTES = 10
"""A header: key, version, correlation id and a null client id."""


class FrameReader:
    """One connection's incoming bytes. The socket writes into `buffer()`; `received(n)` gives whole frames."""

    __slots__ = ("_end", "_filled", "_frame", "_frame_bytes", "_max_bytes", "_receive", "_start")

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_bytes = max_frame_bytes
        self._receive = bytearray(RECEIVE_BYTES)
        self._start = self._end = 0
        self._frame: bytearray | None = None
        """A large frame in the making; `_filled` of `_frame_bytes` have come."""
        self._frame_bytes = self._filled = 0

    @property
    def declared_bytes(self) -> int:
        """The size of the frame that is under way; 0 between frames."""
        if self._frame is not None:
            return self._frame_bytes
        return RECEIVE_BYTES if self._end > self._start else 0

    def buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self._frame is None:
            return memoryview(self._receive)[self._end :]
        if self._filled == len(self._frame):
            grown = bytearray(min(self._frame_bytes, len(self._frame) * _GROWTH))
            grown[: self._filled] = self._frame
            self._frame = grown
        return memoryview(self._frame)[self._filled :]

    def received(self, count: int) -> list[memoryview]:
        """The frames that `count` more bytes completed. MalformedFrame when a length is impossible or too large."""
        if self._frame is None:
            self._end += count
            return self._cut()
        self._filled += count
        if self._filled < self._frame_bytes:
            return []
        whole = memoryview(self._frame)
        self._frame = None
        return [whole]

    def _cut(self) -> list[memoryview]:
        frames: list[memoryview] = []
        view = memoryview(self._receive)
        while self._end - self._start >= _LENGTH_BYTES:
            length = self._length()
            begin = self._start + _LENGTH_BYTES
            if begin + length > self._end:
                if _LENGTH_BYTES + length > RECEIVE_BYTES:
                    self._begin_large(view[begin : self._end], length)
                break
            frames.append(memoryview(bytearray(view[begin : begin + length])))
            self._start = begin + length
        self._make_room(view)
        return frames

    def _length(self) -> int:
        (length,) = I32.unpack_from(self._receive, self._start)
        if not _MIN_FRAME_BYTES <= length <= self._max_bytes:
            raise MalformedFrame(f"a frame of {length} bytes; {_MIN_FRAME_BYTES} to {self._max_bytes} are accepted")
        return int(length)

    def _begin_large(self, arrived: memoryview, length: int) -> None:
        self._frame = bytearray(min(length, max(_FIRST_BYTES, len(arrived))))
        self._frame[: len(arrived)] = arrived
        self._frame_bytes, self._filled = length, len(arrived)
        self._start = self._end = 0

    def _make_room(self, view: memoryview) -> None:
        """Moves the beginning of an unfinished small frame to the front of the receive buffer."""
        left = self._end - self._start
        if self._start:
            view[:left] = bytes(view[self._start : self._end])
            self._start, self._end = 0, left
