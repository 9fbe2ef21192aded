"""What stands before every request and every answer: API key, version, correlation id, client id."""

from __future__ import annotations

import struct
from typing import NamedTuple

from broker.errors import MalformedFrame
from broker.wire.cursor import I16, Cursor

_FIXED = struct.Struct(">hhih")
"""Key, version, correlation id, bytes of the client id (-1: none)."""


class RequestHeader(NamedTuple):
    """The part of the header that every version shares; its tagged fields come later, if the version has any."""

    key: int
    version: int
    correlation_id: int
    client_id: str | None
    size_bytes: int
    """Where the tagged fields, or the body, begin."""


def read_request_header(frame: memoryview) -> RequestHeader:
    """MalformedFrame when the frame is too short for a header or the client id is not UTF-8."""
    if len(frame) < _FIXED.size:
        raise MalformedFrame(f"{_FIXED.size} bytes of header wanted, {len(frame)} are there")
    key, version, correlation_id, size = _FIXED.unpack_from(frame)
    end = _FIXED.size + size
    if size < 0 or end > len(frame):
        cursor = Cursor(frame, position=_FIXED.size - I16.size)
        client_id, end = cursor.legacy_nullable_string(), cursor.position
    else:
        try:
            client_id = str(frame[_FIXED.size : end], "utf-8")
        except UnicodeDecodeError as error:
            raise MalformedFrame("a client id that is not UTF-8") from error
    return RequestHeader(key, version, correlation_id, client_id, end)


def body_at(frame: memoryview, header: RequestHeader, *, flexible: bool) -> int:
    """Where the body begins: behind the header's tagged fields, which are skipped."""
    at = header.size_bytes
    if not flexible:
        return at
    if at < len(frame) and not frame[at]:
        return at + 1
    cursor = Cursor(frame, position=at, flexible=True)
    cursor.tags()
    return cursor.position
