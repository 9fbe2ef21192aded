"""Reading Kafka's primitives out of a frame, and writing them, by hand: for headers, Produce and Fetch.

Laws: 1. a read past the end raises MalformedFrame, never anything else. 2. A count is checked against the bytes that
are left before anything of its size is made. 3. Record bytes are views of the frame, never copies.
"""

from __future__ import annotations

import struct
import uuid

from broker.errors import MalformedFrame

I8 = struct.Struct(">b")
I16 = struct.Struct(">h")
I32 = struct.Struct(">i")
I64 = struct.Struct(">q")
_F64 = struct.Struct(">d")

MAX_ITEMS = 100_000
"""Of all arrays of one request together: an item of one byte on the wire is a hundred in memory."""

_MAX_VARINT_BYTES = 5


class Cursor:
    """A place in a frame that moves forward. `flexible` says whether lengths are varints (KIP-482)."""

    __slots__ = ("flexible", "items_left", "position", "view")

    def __init__(
        self, view: memoryview, *, position: int = 0, flexible: bool = False, items_left: int = MAX_ITEMS
    ) -> None:
        self.view = view
        self.position = position
        self.flexible = flexible
        self.items_left = items_left

    def inside(self, view: memoryview) -> Cursor:
        """A cursor for the bytes of a tagged field."""
        return Cursor(view, flexible=self.flexible, items_left=self.items_left)

    def _number(self, layout: struct.Struct) -> int:
        try:
            (value,) = layout.unpack_from(self.view, self.position)
        except struct.error as error:
            raise MalformedFrame(f"{layout.size} bytes wanted at byte {self.position} of {len(self.view)}") from error
        self.position += layout.size
        return int(value)

    def int8(self) -> int:
        return self._number(I8)

    def int16(self) -> int:
        return self._number(I16)

    def int32(self) -> int:
        return self._number(I32)

    def int64(self) -> int:
        return self._number(I64)

    def float64(self) -> float:
        (value,) = _F64.unpack(self.take(8))
        return float(value)

    def uvarint(self) -> int:
        value = 0
        for shift in range(_MAX_VARINT_BYTES):
            if self.position >= len(self.view):
                break
            byte = self.view[self.position]
            self.position += 1
            value |= (byte & 0x7F) << (7 * shift)
            if not byte & 0x80:
                return value
        raise MalformedFrame(f"a varint without end at byte {self.position}")

    def take(self, size: int) -> memoryview:
        """The next `size` bytes, not copied."""
        if size < 0 or size > len(self.view) - self.position:
            raise MalformedFrame(f"{size} bytes wanted at byte {self.position} of {len(self.view)}")
        taken = self.view[self.position : self.position + size]
        self.position += size
        return taken

    def uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=bytes(self.take(16)))

    def nullable_string(self) -> str | None:
        size = self.uvarint() - 1 if self.flexible else self.int16()
        return None if size == -1 else self._text(size)

    def string(self) -> str:
        text = self.nullable_string()
        if text is None:
            raise MalformedFrame(f"null where a string must be, at byte {self.position}")
        return text

    def legacy_nullable_string(self) -> str | None:
        """A string with a 16-bit length whatever the version: the client id in a request's header."""
        size = self.int16()
        return None if size == -1 else self._text(size)

    def _text(self, size: int) -> str:
        try:
            return str(self.take(size), "utf-8")
        except UnicodeDecodeError as error:
            raise MalformedFrame(f"a string that is not UTF-8 before byte {self.position}") from error

    def nullable_bytes(self) -> memoryview | None:
        size = self.uvarint() - 1 if self.flexible else self.int32()
        return None if size == -1 else self.take(size)

    def nullable_count(self, item_bytes: int) -> int | None:
        """An array's length; refused when so many items of at least `item_bytes` cannot be there."""
        count = self.uvarint() - 1 if self.flexible else self.int32()
        if count == -1:
            return None
        if count < 0 or count * item_bytes > len(self.view) - self.position:
            raise MalformedFrame(f"an array of {count} items in {len(self.view) - self.position} bytes")
        self.items_left -= count
        if self.items_left < 0:
            raise MalformedFrame(f"a request of more than {MAX_ITEMS} items; send fewer at once")
        return count

    def count(self, item_bytes: int) -> int:
        """The same, null read as 0."""
        return self.nullable_count(item_bytes) or 0

    def tags(self) -> dict[int, memoryview]:
        """The tagged fields at the end of a flexible structure; nothing is read when the version has none."""
        if not self.flexible:
            return {}
        found: dict[int, memoryview] = {}
        for _ in range(self.count_tags()):
            tag = self.uvarint()
            found[tag] = self.take(self.uvarint())
        return found

    def count_tags(self) -> int:
        count = self.uvarint()
        if count * 2 > len(self.view) - self.position:
            raise MalformedFrame(f"{count} tagged fields in {len(self.view) - self.position} bytes")
        return count


def put_uvarint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def put_string(out: bytearray, text: str | None, *, flexible: bool) -> None:
    data = None if text is None else text.encode()
    if flexible:
        put_uvarint(out, 0 if data is None else len(data) + 1)
    else:
        out += I16.pack(-1 if data is None else len(data))
    if data is not None:
        out += data


def put_count(out: bytearray, count: int, *, flexible: bool) -> None:
    if flexible:
        put_uvarint(out, count + 1)
    else:
        out += I32.pack(count)
