"""What stands before every request and every answer: API key, version, correlation id, client id."""

from __future__ import annotations

from dataclasses import dataclass

from broker.wire.cursor import I16, I32, Cursor


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestHeader:
    """The part of the header that every version shares; its tagged fields come later, if the version has any."""

    key: int
    version: int
    correlation_id: int
    client_id: str | None
    size_bytes: int
    """Where the tagged fields, or the body, begin."""


def read_request_header(frame: memoryview) -> RequestHeader:
    """MalformedFrame when the frame is too short for a header or the client id is not UTF-8."""
    cursor = Cursor(frame)
    key, version, correlation_id = cursor.int16(), cursor.int16(), cursor.int32()
    client_id = cursor.legacy_nullable_string()
    return RequestHeader(
        key=key, version=version, correlation_id=correlation_id, client_id=client_id, size_bytes=cursor.position
    )


def response_header(correlation_id: int, *, flexible: bool) -> bytes:
    """The header of an answer, without the frame's length."""
    return I32.pack(correlation_id) + (b"\0" if flexible else b"")


def bare_error(code: int) -> bytes:
    """A body of only an error code: what every version of ApiVersions begins with."""
    return I16.pack(code)
